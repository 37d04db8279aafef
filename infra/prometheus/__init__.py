"""Prometheus: its configuration, the recording rules of the five numbers, and a real one for tests and benchmarks."""
