"""Persist alone: the sink with its store at >= 0.8 of a bare `unnest` loop with the same rows."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.harness import subject
from bench.harness.bench import Bench, Result

ROUNDS = 5
SECONDS = 120.0
GOAL = 0.8


async def run(bench: Bench) -> Sequence[Result]:
    """Let the subject measure both in turn."""
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(bench.stack.stage())
        rounds = 2 if bench.quick else ROUNDS
        writing = stack.enter_context(subject.running(stage, "bench.subjects.persist", stage.database, str(rounds)))
        await writing.ended(timeout_seconds=SECONDS)
        if writing.process.returncode:
            raise subject.SubjectError(writing.log_end)
        rates = json.loads(writing.log_path.read_text())
    ratio = rates["sink"] / rates["bare"]
    return [
        Result(
            "persist alone: rows/s of the sink",
            f"{ratio:.2f} ({rates['sink']:,.0f}/s)",
            goal=f">= {GOAL}",
            limit=f"{rates['bare']:,.0f}/s, a bare unnest loop",
            met=ratio >= GOAL,
        )
    ]
