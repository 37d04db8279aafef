"""Processes that a benchmark measures, beside the peers: the worker, and the limits it is held against."""
