"""What every row of the benchmark uses: the stack, a worker under measure, windows, the report."""
