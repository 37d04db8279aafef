"""Benchmarks and long checks: commands of their own, never part of `make ci`. From the root: `python -m bench.NAME`."""
