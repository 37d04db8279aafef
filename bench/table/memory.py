"""A million tokens through one worker: its memory is flat between the first tenth and the end, and nothing is left over."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.harness import subject
from bench.harness.bench import Bench, Picture, Result
from bench.harness.feed import feed
from bench.harness.lag import queue_lag
from bench.harness.stack import Stage
from bench.harness.subject import Subject
from bench.harness.window import first_row

CALLS = 2_000
LATENCY_SECONDS = 0.2
TOKENS = 1_000_000
QUICK_TOKENS = 100_000
SLOWEST_A_SECOND = 500
LOOK_SECONDS = 1.0
GOAL_GROWTH = 1.05


async def run(bench: Bench) -> Sequence[Result]:
    """Let it work until every token is stored, looking at its memory."""
    tokens = QUICK_TOKENS if bench.quick else TOKENS
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(
            bench.stack.stage(latency_min_seconds=LATENCY_SECONDS, latency_max_seconds=LATENCY_SECONDS)
        )
        await feed(stage, tokens)
        worker = stack.enter_context(subject.worker(stage, environment=subject.slots(CALLS)))
        looks, seconds = await _watch(stage, worker, tokens)
        lag = await queue_lag(stage)
        bench.pictures["memory"] = Picture(
            f"Memory of a worker over {tokens:,} tokens", "tokens stored", "RSS, MiB", {f"{CALLS:,} calls in flight": looks}
        )
    settled = [memory for done, memory in looks if done >= tokens * 0.1]
    growth = settled[-1] / settled[0]
    return [
        Result(
            f"{tokens:,} tokens: memory at the end against 10 %",
            f"{growth:.3f} ({settled[0]:.0f} to {settled[-1]:.0f} MiB, most {max(settled):.0f}; {tokens / seconds:,.0f}/s)",
            goal=f"<= {GOAL_GROWTH}",
            met=growth <= GOAL_GROWTH,
        ),
        Result(f"{tokens:,} tokens: lag at the end", f"{lag}", goal="0", met=lag == 0),
    ]


async def _watch(stage: Stage, worker: Subject, tokens: int) -> tuple[list[tuple[float, float]], float]:
    """Look at memory and progress until all is stored; (tokens stored, MiB) each time, and how long it took."""
    await first_row(stage, [worker])
    started, looks = time.monotonic(), []
    done = 0
    while done < tokens:
        await asyncio.sleep(LOOK_SECONDS)
        worker.check()
        if time.monotonic() - started > tokens / SLOWEST_A_SECOND + 60:
            raise subject.SubjectError(f"{tokens - done} tokens are not stored:\n{worker.log_end}")
        done = stage.mock.stats()["answered"]
        if done >= tokens:
            ((done,),) = await stage.rows("SELECT count(*) FROM outcomes")
        looks.append((float(done), worker.memory_mib))
    return looks, time.monotonic() - started
