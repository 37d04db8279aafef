"""Retries: 100,000 parked fire when due, cost nothing while they wait, and neither they nor fresh tokens starve the other.

The due error is the mock's: when the second call of a token began, against the broker's append time of its retry copy and
the delay. So it has the way to the mock in it, and no part in the worker's own arithmetic.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.harness import subject
from bench.harness.bench import Bench, Picture, Result
from bench.harness.feed import feed, park
from bench.harness.lag import queue_lag
from bench.harness.stack import Stage
from bench.harness.subject import Subject, SubjectError
from bench.harness.window import first_row, measure
from tests.support.contract import read_all
from topics.catalogue import retry_topic_name

CALLS = 2_000
PARKED, QUICK_PARKED = 100_000, 10_000
FAILING = 0.3
"""The part whose first call fails: below the half at which the breaker opens."""
RULES = [{"pattern": "1.*[369]", "behaviour": {"fail_first_calls": 1, "fail_first_with": 500}}]
FRESH = 40_000_000
"""First of the tokens that never fail."""
DELAY_SECONDS, QUICK_DELAY_SECONDS = 300.0, 120.0
PARK_LATENCY, LATENCY = 0.2, 0.5
IDLE_SECONDS = 20.0
LOOK_SECONDS = 0.5
STALLED_SECONDS = 60.0
AT_ONCE_DELAY_SECONDS = 3.0
OUTCOMES = "SELECT count(*) FILTER (WHERE outcome = 'retrying') AS retrying, count(*) AS rows FROM outcomes"
BY_ATTEMPT = """
SELECT attempt, count(*) FROM outcomes WHERE extract(epoch FROM settled_at) BETWEEN $1 AND $2 GROUP BY attempt
"""
GOAL_FRESH, GOAL_CORE, GOAL_ERROR_SECONDS = 0.95, 0.05, 1.0
GOAL_SHARES = {1: 0.75, 2: 0.15}
"""Of what the slots allow: fresh records have four fifths, due retries one."""


async def run(bench: Bench) -> Sequence[Result]:
    """Measure what is parked, then what is due at once."""
    return [*await _parked(bench), *await _due_at_once(bench)]


async def _parked(bench: Bench) -> list[Result]:
    ideal = CALLS / LATENCY
    clean = await bench.worker_window(calls=CALLS, latency=(LATENCY, LATENCY), most_a_second=ideal * 1.1)
    parked, delay = (QUICK_PARKED, QUICK_DELAY_SECONDS) if bench.quick else (PARKED, DELAY_SECONDS)
    async with AsyncExitStack() as stack:
        latency = {"latency_min_seconds": PARK_LATENCY, "latency_max_seconds": PARK_LATENCY}
        stage = await stack.enter_async_context(bench.stack.stage(retry_delay_seconds=delay, rules=RULES, **latency))
        tokens = int(parked / FAILING)
        await feed(stage, tokens)
        worker = stack.enter_context(subject.worker(stage, environment=subject.slots(CALLS)))
        await first_row(stage, [worker])
        retrying = await _until_stored(stage, worker, tokens)
        core = await _idle(worker)
        stage.mock.change(latency_min_seconds=LATENCY, latency_max_seconds=LATENCY)
        times = bench.times(LATENCY)
        await feed(stage, int(ideal * (times.warm_up_seconds + times.seconds)), first=FRESH)
        window = await measure(stage, [worker], times)
        await _until_stored(stage, worker, tokens, retrying_at_most=0, patience_seconds=delay)
        errors = await _due_errors(stage)
        lag = await queue_lag(stage)
    bench.pictures["retry-due-error"] = _picture(errors)
    fresh = window.rate / clean.rate
    near = sum(0 <= error < GOAL_ERROR_SECONDS for error in errors) / len(errors)
    p50, p99 = (errors[int(len(errors) * part)] * 1000 for part in (0.5, 0.99))
    return [
        Result(
            f"{retrying:,} parked for {delay:.0f} s: fired within 1 s of the due time, never early",
            f"{near:.2%} of {len(errors):,} (p50 {p50:.0f} ms, p99 {p99:.0f} ms, {errors[0] * 1000:+.0f} to "
            f"{errors[-1] * 1000:+.0f} ms)",
            goal="100 %",
            met=near == 1.0 and len(errors) == retrying,
        ),
        Result("the same: CPU while they wait", f"{core:.1%} of a core", goal=f"< {GOAL_CORE:.0%}", met=core < GOAL_CORE),
        Result(
            "the same: fresh tokens' rate while they wait",
            f"{fresh:.3f} ({window.rate:,.0f}/s)",
            goal=f">= {GOAL_FRESH}",
            limit=f"{clean.rate:,.0f}/s, a run with none parked",
            met=fresh >= GOAL_FRESH,
        ),
        Result("the same: lag of tokens and retries at the end", f"{lag}", goal="0", met=lag == 0),
    ]


async def _due_at_once(bench: Bench) -> list[Result]:
    """Have as many due as fresh, all of them before the worker starts."""
    ideal = CALLS / LATENCY
    count = QUICK_PARKED * 4 if bench.quick else PARKED
    async with AsyncExitStack() as stack:
        latency = {"latency_min_seconds": LATENCY, "latency_max_seconds": LATENCY}
        stage = await stack.enter_async_context(bench.stack.stage(retry_delay_seconds=AT_ONCE_DELAY_SECONDS, **latency))
        await park(stage, count, first=FRESH)
        await feed(stage, count)
        await asyncio.sleep(AT_ONCE_DELAY_SECONDS)
        worker = stack.enter_context(subject.worker(stage, environment=subject.slots(CALLS)))
        window = await measure(stage, [worker], bench.times(LATENCY))
        rows = await stage.rows(BY_ATTEMPT, window.start, window.end)
    shares = {attempt: number / (window.end - window.start) / ideal for attempt, number in rows}
    names = {1: "fresh tokens", 2: "due retries"}
    return [
        Result(
            f"{count:,} due at once beside {count:,} fresh: {names[attempt]}' part of the slots",
            f"{shares.get(attempt, 0.0):.2f}",
            goal=f">= {goal}",
            limit="0.8 fresh, 0.2 due",
            met=shares.get(attempt, 0.0) >= goal,
        )
        for attempt, goal in GOAL_SHARES.items()
    ]


async def _until_stored(
    stage: Stage, worker: Subject, tokens: int, *, retrying_at_most: int | None = None, patience_seconds: float = 0.0
) -> int:
    """Wait until so many tokens have a row, and few enough of these are retrying; return how many are.

    Raises:
        SubjectError: nothing has changed for a while.

    """
    seen, since = (-1, -1), time.monotonic()
    while True:
        (row,) = await stage.rows(OUTCOMES)
        if row["rows"] >= tokens and (retrying_at_most is None or row["retrying"] <= retrying_at_most):
            return int(row["retrying"])
        worker.check()
        if tuple(row) != seen:
            seen, since = tuple(row), time.monotonic()
        if time.monotonic() - since > STALLED_SECONDS + patience_seconds:
            raise SubjectError(f"{row['rows']} rows, {row['retrying']} retrying, and no change:\n{worker.log_end}")
        await asyncio.sleep(LOOK_SECONDS)


async def _idle(worker: Subject) -> float:
    """Measure the part of a core that it uses with nothing to do but wait."""
    await asyncio.sleep(2.0)  # the last commit
    cpu, start = worker.cpu_seconds, time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return (worker.cpu_seconds - cpu) / (time.monotonic() - start)


async def _due_errors(stage: Stage) -> list[float]:
    """How late each second call began, in seconds, sorted; negative = early."""
    began = {each["token"]: each["at"] for each in stage.mock.stats("?repeats=true")["repeats"]}
    copies = await read_all(stage.kafka, retry_topic_name(stage.topic, stage.retry_delay_seconds / 60))
    due = {(copy.value or b"").decode(): copy.timestamp / 1000 + stage.retry_delay_seconds for copy in copies}
    if due.keys() != began.keys():
        raise SubjectError(f"{len(due)} were parked, and {len(began)} called again")
    return sorted(began[token] - moment for token, moment in due.items())


def _picture(errors: Sequence[float]) -> Picture:
    """Draw the part of the retries that had fired so long after they were due."""
    step = max(1, len(errors) // 500)
    points = [(error * 1000, (number + 1) / len(errors)) for number, error in enumerate(errors) if number % step == 0]
    return Picture(
        f"{len(errors):,} retries: how late they fired",
        "milliseconds after the due time (second call seen by the API)",
        "part of the retries",
        {"fired": [*points, (errors[-1] * 1000, 1.0)]},
    )
