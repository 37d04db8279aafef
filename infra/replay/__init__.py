"""`tokenflow replay`: what lies in the log is worked on again where it has no final good outcome, or all of it by force."""
