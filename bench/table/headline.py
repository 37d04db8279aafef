"""The users' headline: three workers of 50 x 100 against an API of 1 s, on this whole machine, nothing pinned."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, AsyncExitStack

from bench.harness import subject
from bench.harness.bench import Bench, Result
from bench.harness.stack import Stage
from bench.harness.subject import Subject
from bench.harness.window import Window, measure

WORKERS = 3
CALLS = 5_000
LATENCY = (1.0, 1.0)
IDEAL = WORKERS * CALLS / LATENCY[0]
GOAL = 10_000


async def run(bench: Bench) -> Sequence[Result]:
    """Measure with the batch endpoint, then with single calls."""
    batch = await _window(bench, batch=True)
    single = await _window(bench, batch=False)
    return [
        Result(
            "3 workers, 50 x 100, batch endpoint at 1 s: tokens/s",
            f"{batch.rate:,.0f} ({batch.us:.1f} us)",
            goal=f">= {GOAL:,}",
            limit=f"{IDEAL:,.0f}/s, Little's law",
            met=batch.rate >= GOAL,
        ),
        Result(
            "3 workers, 50 x 100, single calls at 1 s: tokens/s",
            f"{single.rate:,.0f} ({single.us:.0f} us, {single.core:.2f} cores of the workers)",
            limit=f"{IDEAL:,.0f}/s, Little's law; {len(bench.stack.cores.all)} cores for everything",
        ),
    ]


async def _window(bench: Bench, *, batch: bool) -> Window:
    async with AsyncExitStack() as stack:
        times = bench.times(LATENCY[1] + 3.0)  # three joins
        stage = await bench.staged(stack, LATENCY, times, IDEAL * 1.1)
        workers = [stack.enter_context(_worker(bench, stage, batch=batch)) for _ in range(WORKERS)]
        return await measure(stage, workers, times)


def _worker(bench: Bench, stage: Stage, *, batch: bool) -> AbstractContextManager[Subject]:
    environment = subject.slots(CALLS)
    if batch:
        environment["PROVIDER_BATCH_URL"] = stage.batch_url
    return subject.worker(stage, cores=bench.stack.cores.all, environment=environment)
