"""One token in a hundred answered 500 for ever: the others at >= 0.95 of a clean run."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.harness import subject
from bench.harness.bench import Bench, Result
from bench.harness.window import Window, measure

CALLS = 2_000
LATENCY = (0.5, 0.5)
IDEAL = CALLS / LATENCY[0]
POISON = {"rules": [{"pattern": ".*00", "behaviour": {"statuses": {"500": 1}}}]}
GOOD = """
SELECT count(*) FROM outcomes
WHERE token NOT LIKE '%00' AND extract(epoch FROM settled_at) >= $1 AND extract(epoch FROM settled_at) < $2
"""
GOAL = 0.95


async def run(bench: Bench) -> Sequence[Result]:
    """Measure a clean run and one with poison."""
    clean, good_of_clean = await _window(bench, poison=False)
    window, good = await _window(bench, poison=True)
    ratio = good / good_of_clean
    dead = 1 - good / window.rate
    return [
        Result(
            "1 % of tokens answered 500: the others' rate",
            f"{ratio:.3f} ({good:,.0f}/s; {dead:.2%} dead letters; {window.us:.0f} against {clean.us:.0f} us)",
            goal=f">= {GOAL}",
            limit=f"{good_of_clean:,.0f}/s of them, a clean run",
            met=ratio >= GOAL,
        )
    ]


async def _window(bench: Bench, *, poison: bool) -> tuple[Window, float]:
    """Measure; beside it the rate of the tokens that are never poison."""
    async with AsyncExitStack() as stack:
        times = bench.times(LATENCY[1])
        stage = await bench.staged(stack, LATENCY, times, IDEAL * 1.1)
        if poison:
            stage.mock.change(**POISON)
        worker = stack.enter_context(subject.worker(stage, environment={**subject.slots(CALLS), "MAX_RETRIES": "0"}))
        window = await measure(stage, [worker], times)
        (row,) = await stage.rows(GOOD, window.start, window.end)
        return window, row[0] / (window.end - window.start)
