"""Ten thousand tokens among a hundred thousand good ones answered 500 for ever: the good ones at >= 0.95 of a clean run.

Retries stay on: each of the ten thousand is tried once more, a minute later, and is then a dead letter.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.harness import subject
from bench.harness.bench import Bench, Result
from bench.harness.feed import feed
from bench.harness.lag import queue_lag
from bench.harness.stack import Stage
from bench.harness.subject import Subject, SubjectError
from bench.harness.window import first_row

CALLS = 2_000
LATENCY_SECONDS = 0.5
GOOD, QUICK_GOOD = 100_000, 20_000
PATTERN = ".*0[0-9]"
RULES = [{"pattern": PATTERN, "behaviour": {"statuses": {"500": 1}}}]
"""Every tenth token, ten in a row."""
DELAY_SECONDS = 60.0
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 600.0
GOAL = 0.95
COUNTS = """
SELECT
    count(*) FILTER (WHERE outcome = 'succeeded') AS good,
    count(*) FILTER (WHERE outcome = 'dead_lettered') AS dead,
    extract(epoch FROM max(settled_at) FILTER (WHERE outcome = 'succeeded') - min(settled_at))::float8 AS seconds
FROM outcomes WHERE token !~ $1 OR outcome = 'dead_lettered'
"""
EXPLAINED = "SELECT count(*) FROM dead_letters WHERE error_kind = 'transient' AND error_message LIKE 'HTTP 500%'"


async def run(bench: Bench) -> Sequence[Result]:
    """Let both runs come to their ends, all good tokens stored and all bad ones set aside."""
    good = QUICK_GOOD if bench.quick else GOOD
    poison = good // 10
    tokens = good + poison
    clean, _, _ = await _play(bench, tokens, dead=0)
    poisoned, explained, lag = await _play(bench, tokens, dead=tokens // 10)
    ratio = clean / poisoned
    return [
        Result(
            f"{tokens // 10:,} of {tokens:,} answered 500 for ever: the good ones' rate",
            f"{ratio:.3f} ({tokens * 0.9 / poisoned:,.0f}/s)",
            goal=f">= {GOAL}",
            limit=f"{tokens * 0.9 / clean:,.0f}/s of them, a clean run",
            met=ratio >= GOAL,
        ),
        Result(
            "the same: dead letters with their error, lag at the end",
            f"{explained:,}, {lag}",
            goal=f"{tokens // 10:,}, 0",
            met=(explained, lag) == (tokens // 10, 0),
        ),
    ]


async def _play(bench: Bench, tokens: int, *, dead: int) -> tuple[float, int, int]:
    """Return the seconds that the good tokens took, the dead letters that explain themselves, and the lag at the end."""
    async with AsyncExitStack() as stack:
        latency = {"latency_min_seconds": LATENCY_SECONDS, "latency_max_seconds": LATENCY_SECONDS}
        rules = RULES if dead else []
        stage = await stack.enter_async_context(bench.stack.stage(retry_delay_seconds=DELAY_SECONDS, rules=rules, **latency))
        await feed(stage, tokens)
        worker = stack.enter_context(subject.worker(stage, environment={**subject.slots(CALLS), "MAX_RETRIES": "1"}))
        await first_row(stage, [worker])
        seconds = await _until_stored(stage, worker, good=tokens - tokens // 10, dead=dead)
        ((explained,),) = await stage.rows(EXPLAINED)
        return seconds, int(explained), await queue_lag(stage)


async def _until_stored(stage: Stage, worker: Subject, *, good: int, dead: int) -> float:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        (row,) = await stage.rows(COUNTS, f"^{PATTERN}$")
        if row["good"] >= good and row["dead"] >= dead:
            return float(row["seconds"])
        worker.check()
        if time.monotonic() > deadline:
            raise SubjectError(f"{row['good']} of {good} good ones, {row['dead']} of {dead} dead letters:\n{worker.log_end}")
        await asyncio.sleep(LOOK_SECONDS)
