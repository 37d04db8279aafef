"""Persist alone: the sink with its store against a bare `unnest` loop on the same rows, in turn, in one process.

`python -m bench.subjects.persist DATABASE_URL ROUNDS` prints JSON: rows a second of each, medians of so many rounds.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence

import asyncpg
import uvloop
from aiokafka.structs import TopicPartition
from asyncpg.pgproto.pgproto import UUID

from bench.harness.outcomes import outcome
from bench.harness.stack import PARTITIONS
from consumers import cli
from consumers.engine.record import Record, Settled
from consumers.engine.sink import FLUSHERS, ROWS_PER_STATEMENT, Sink
from consumers.engine.state import EngineState
from consumers.store.postgres import UPSERT_OUTCOMES, PostgresStore
from consumers.store.rows import outcome_columns
from topics.identity import new_record_id

ROWS = 100_000
DEADLINE_SECONDS = 120.0


class NoDeadLetters:
    """There are none among these rows. Implements consumers.ports.DeadLetterTopic."""

    async def produce(self, settled: Settled) -> None:
        """Fail: nothing of this is expected."""
        raise AssertionError(settled)


async def main(url: str, rounds: int) -> None:
    """Measure both, in turn."""
    rates: dict[str, list[float]] = {"bare": [], "sink": []}
    for number in range(rounds):
        rates["bare"].append(await _bare(url, _make_rows(number * 2 * ROWS)))
        rates["sink"].append(await _sink(url, _make_rows((number * 2 + 1) * ROWS)))
    print(json.dumps({name: statistics.median(each) for name, each in rates.items()}))  # noqa: T201 - the answer


def _make_rows(start: int) -> list[Settled]:
    return [outcome(UUID(new_record_id()), f"{10_000_000 + n}", n) for n in range(start, start + ROWS)]


async def _bare(url: str, rows: Sequence[Settled]) -> float:
    """As many connections as the sink has, each taking the next rows."""
    batches = iter([rows[at : at + ROWS_PER_STATEMENT] for at in range(0, len(rows), ROWS_PER_STATEMENT)])

    async def write(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        for batch in batches:
            await connection.execute(UPSERT_OUTCOMES, *outcome_columns(batch))

    connections = [await asyncpg.connect(url) for _ in range(FLUSHERS)]
    started = time.perf_counter()
    await asyncio.gather(*map(write, connections))
    seconds = time.perf_counter() - started
    for connection in connections:
        await connection.close()
    return len(rows) / seconds


async def _sink(url: str, rows: Sequence[Settled]) -> float:
    """Through the sink: from the first outcome put to the last one settled, books and metrics included."""
    store = await PostgresStore.connect(url, connections=FLUSHERS)
    await store.ping()
    state = EngineState(slots=len(rows))
    partitions = [TopicPartition("tokens", number) for number in range(PARTITIONS)]
    state.open_books(partitions)
    for each in rows:
        _admit(state, each.record)
    sink = Sink(state, store, NoDeadLetters(), recheck=lambda _: None, on_room=lambda: None, on_failure=_fail)
    started = time.perf_counter()
    running = asyncio.create_task(sink.run())
    for at in range(0, len(rows), ROWS_PER_STATEMENT):  # as answers come: while others are written
        for each in rows[at : at + ROWS_PER_STATEMENT]:
            sink.put(each)
        await asyncio.sleep(0)
    assert await sink.flush(timeout_seconds=DEADLINE_SECONDS)  # noqa: S101 - a bug of the benchmark otherwise
    seconds = time.perf_counter() - started
    running.cancel()
    await asyncio.wait({running})
    await store.close()
    return len(rows) / seconds


def _fail(error: BaseException) -> None:
    raise error


def _admit(state: EngineState, record: Record) -> None:
    record.window = state.windows[TopicPartition(record.topic, record.partition)]
    state.admit(record)
    state.admission.waiting -= 1


if __name__ == "__main__":
    cli._tune_collector()  # noqa: SLF001 - as the worker does
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
