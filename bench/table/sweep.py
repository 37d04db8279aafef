"""Throughput, CPU a token and lag of the event loop against calls in flight, at 1 s a call: for the plots."""

from collections.abc import Sequence

from bench.harness.bench import Bench, Picture, Result

CALLS = (200, 500, 1_000, 2_000, 4_000, 7_000, 10_000)
LATENCY = (1.0, 1.0)
X = "calls in flight (1 s each)"


async def run(bench: Bench) -> Sequence[Result]:
    """Measure each number of calls."""
    points = []
    for calls in CALLS[::3] if bench.quick else CALLS:
        window = await bench.worker_window(calls=calls, latency=LATENCY, most_a_second=calls * 1.1)
        points.append((calls, window))
    ideal = [(float(calls), calls / LATENCY[1]) for calls, _ in points]
    rates = [(float(calls), window.rate) for calls, window in points]
    bench.pictures["throughput"] = Picture(
        "Throughput of one worker on one core", X, "tokens/s", {"Little's law": ideal, "measured": rates}
    )
    bench.pictures["cpu"] = Picture(
        "CPU of one worker", X, "us a token", {"measured": [(float(calls), window.us) for calls, window in points]}
    )
    bench.pictures["lag"] = Picture(
        "Lateness of the worker's event loop",
        X,
        "ms",
        {
            "p50": [(float(calls), window.lag_ms(0.5)) for calls, window in points],
            "p99": [(float(calls), window.lag_ms()) for calls, window in points],
        },
    )
    return [
        Result(
            f"{calls:,} in flight x 1 s",
            f"{window.rate / calls:.3f} ({window.rate:,.0f}/s, {window.us:.0f} us, {window.core:.2f} core, "
            f"lag p99 {window.lag_ms():.1f} ms, {window.memory_mib:.0f} MiB)",
            limit=f"{calls:,}/s",
        )
        for calls, window in points
    ]
