"""The lag exporter: a process that reads a group's lag off the brokers and answers scrapes with it."""
