"""CPU-bound work: microseconds of CPU a token, all in, on one core; the share of it that is the call; the engine alone."""

from collections.abc import Sequence

from bench.harness.bench import Bench, Result
from bench.harness.window import Window

CALLS = 1_000
LATENCY = (0.02, 0.02)
GOALS_US = {"aiohttp": 110, "pyreqwest": 90, "wire": 75}
MOST_A_SECOND = {"aiohttp": 14_000.0, "pyreqwest": 20_000.0, "wire": 32_000.0}
GOAL_OF_BARE = 0.80
DEFAULT = "aiohttp"
"""The goal against a bare loop is for the default: the cheaper a call, the less of a token it can be."""
ENGINE_CALLS = 2_000
ENGINE_SECONDS = 0.02
ENGINE_MOST_A_SECOND = 80_000.0
ENGINE_GOAL_US = 15


async def run(bench: Bench) -> Sequence[Result]:
    """Measure each client bare, and the worker with it, in turn."""
    results: list[Result] = []
    for client, goal_us in GOALS_US.items():
        bare_us, bare_rate = await bench.client_us(client, calls=CALLS, latency=LATENCY)
        window = await bench.worker_window(
            calls=CALLS, latency=LATENCY, most_a_second=MOST_A_SECOND[client], provider=(client,)
        )
        results.extend(_results(client, goal_us, window, bare_us=bare_us, bare_rate=bare_rate))
    return results


def _results(client: str, goal_us: int, window: Window, *, bare_us: float, bare_rate: float) -> Sequence[Result]:
    ratio = bare_us / window.us
    limit = f"{bare_us:.0f} us, bare loop of {client} ({bare_rate:,.0f}/s)"
    return [
        Result(
            f"CPU a token, {CALLS:,} x 20 ms, {client}",
            f"{window.us:.1f} us ({window.rate:,.0f}/s on {window.core:.2f} core; {window.around})",
            goal=f"<= {goal_us} us",
            limit=limit,
            met=window.us <= goal_us,
        ),
        Result(
            "the same against a bare loop of its client",
            f"{ratio:.2f} ({window.us - bare_us:.1f} us beside the call)",
            goal=f">= {GOAL_OF_BARE:.2f}" if client == DEFAULT else "",
            limit=limit,
            met=ratio >= GOAL_OF_BARE if client == DEFAULT else None,
        ),
    ]


async def run_engine(bench: Bench) -> Sequence[Result]:
    """Measure the engine with a timer instead of a call: poll, check, store, settle, commit."""
    window = await bench.worker_window(
        calls=ENGINE_CALLS,
        latency=(ENGINE_SECONDS, ENGINE_SECONDS),
        most_a_second=ENGINE_MOST_A_SECOND,
        provider=("timer", str(ENGINE_SECONDS)),
    )
    return [
        Result(
            "engine without the call",
            f"{window.us:.1f} us ({window.rate:,.0f}/s on {window.core:.2f} core; {window.around})",
            goal=f"<= {ENGINE_GOAL_US} us",
            met=window.us <= ENGINE_GOAL_US,
        )
    ]
