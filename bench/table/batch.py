"""A batch endpoint, 100 ids a call: tokens a second for each core of the worker, end to end."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.harness import subject
from bench.harness.bench import Bench, Result
from bench.harness.window import measure

BATCHES = 100
SIZE = 100
LATENCY = (0.1, 0.1)
MOST_A_SECOND = 75_000.0
GOAL_A_CORE = 40_000


async def run(bench: Bench) -> Sequence[Result]:
    """Measure one worker."""
    async with AsyncExitStack() as stack:
        times = bench.times(LATENCY[1])
        stage = await bench.staged(stack, LATENCY, times, MOST_A_SECOND)
        environment = {**subject.slots(BATCHES * SIZE, size=SIZE), "PROVIDER_BATCH_URL": stage.batch_url}
        worker = stack.enter_context(subject.worker(stage, environment=environment))
        window = await measure(stage, [worker], times)
    a_core = window.rate / window.core
    return [
        Result(
            "batch endpoint, 100 ids a call: tokens/s a core",
            f"{a_core:,.0f} ({window.rate:,.0f}/s on {window.core:.2f} core, {window.us:.1f} us; {window.around})",
            goal=f">= {GOAL_A_CORE:,}",
            met=a_core >= GOAL_A_CORE,
        )
    ]
