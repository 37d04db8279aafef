"""Commands for people, run from a checkout with any Python from 3.11 on: the standard library only."""
