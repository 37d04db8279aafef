"""Latency-bound work reaches Little's law: tokens a second >= 0.97 of the calls in flight divided by their latency."""

from collections.abc import Sequence

from bench.harness.bench import Bench, Result

SHAPES = (
    # calls, latency from and to in seconds, the largest lag of the event loop in ms that is allowed at p99
    (2_000, (1.0, 1.0), 20),
    (10_000, (2.0, 2.0), 100),
    (3_000, (0.4, 1.6), None),
)
GOAL = 0.97


async def run(bench: Bench) -> Sequence[Result]:
    """Measure each shape, commits and rows included."""
    results = []
    for calls, latency, most_lag_ms in SHAPES:
        ideal = calls / (sum(latency) / 2)
        window = await bench.worker_window(calls=calls, latency=latency, most_a_second=ideal * 1.1)
        name = f"{calls:,} in flight x {seconds(latency)}"
        ratio = window.rate / ideal
        results.append(
            Result(
                f"{name}: tokens/s",
                f"{ratio:.3f} ({window.rate:,.0f}/s, {window.us:.0f} us, {window.core:.2f} core; {window.around})",
                goal=f">= {GOAL}",
                limit=f"{ideal:,.0f}/s, Little's law",
                met=ratio >= GOAL,
            )
        )
        if most_lag_ms is not None:
            lag = window.lag_ms()
            results.append(
                Result(
                    f"{name}: loop lag p99",
                    f"{lag:.1f} ms (largest {window.lag_ms(1.0):.0f})",
                    goal=f"< {most_lag_ms} ms",
                    met=lag < most_lag_ms,
                )
            )
    return results


def seconds(latency: tuple[float, float]) -> str:
    """Write a latency."""
    low, high = latency
    return f"{low:g} s" if low == high else f"{low:g}-{high:g} s"
