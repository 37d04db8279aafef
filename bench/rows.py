"""Whether writes to `outcomes` slow down as it grows: `python -m bench.rows --million 50 --folder FOLDER`.

A PostgreSQL of its own in a folder inside FOLDER, deleted at the end, with the settings of the local stack. The table is
filled on the server to each size; there the worker's own statement writes MEASURED rows, 500 at a time as its sink does, on
one connection. Printed at each size, a row: rate, CPU of the server's processes, write-ahead log. The CPU is what to compare
on a machine that others use. Keys: `sequential` (UUID 7 and growing tokens, what the API and a numbered list make) or
`random` (a random UUID as uuid5 makes, and a random token), which is filled without indexes and indexed at each size.
"""

import asyncio
import json
import os
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import asyncpg
import psutil
import typer
from asyncpg.pgproto.pgproto import UUID
from rich.console import Console
from rich.table import Table

from bench.harness.outcomes import outcome
from consumers.engine.record import Settled
from consumers.engine.sink import ROWS_PER_STATEMENT
from consumers.store.postgres import UPSERT_OUTCOMES
from consumers.store.rows import in_write_order, outcome_columns
from infra.postgres.migrate import migrate, read_migrations
from tests.support import services
from topics.identity import new_record_id

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

MILLION = 1_000_000
SIZES = (0, 1, 2, 5, 10, 20, 30, 40, 50)
MEASURED = 300_000
STEP = 500_000
"""Rows of one filling statement: progress, and an end within seconds when told to stop."""
NICE = 19
DROP_INDEXES = """
ALTER TABLE outcomes DROP CONSTRAINT IF EXISTS outcomes_pkey;
DROP INDEX IF EXISTS outcomes_token_settled_at
"""
MAKE_INDEXES = """
ALTER TABLE outcomes ADD PRIMARY KEY (record_id);
CREATE INDEX outcomes_token_settled_at ON outcomes (token, settled_at)
"""
FILL = """
INSERT INTO outcomes (
    record_id, token, outcome, attempt, result, source_topic, source_partition, source_offset, source_timestamp
)
SELECT
    {record_id}, token, 'succeeded', 1, jsonb_build_object('token', token, 'score', 300 + n % 550, 'band', 'fair'),
    'tokens', n % 12, n / 12, now()
FROM (SELECT n, {token} AS token FROM generate_series($1::bigint, $2::bigint - 1) AS n) AS numbers
"""


class Keys(StrEnum):
    """What record ids and tokens are like."""

    SEQUENTIAL = "sequential"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Point:
    """What a row cost when the table had so many million of them already."""

    keys: str
    million: float
    rows_per_second: float
    server_us: float
    wal_bytes: float
    full_pages: float
    table_gigabytes: float
    index_gigabytes: float


def main(
    million: Annotated[int, typer.Option(min=1, max=1_000, help="Largest size, in million rows.")] = 50,
    keys: Annotated[Keys, typer.Option(help="What ids and tokens are like.")] = Keys.SEQUENTIAL,
    folder: Annotated[Path | None, typer.Option(help="Where the database lies; a temporary folder when absent.")] = None,
    results: Annotated[Path | None, typer.Option(help="Append each point to this file, a line of JSON each.")] = None,
) -> None:
    """Fill, measure, print."""
    os.nice(NICE)
    place = Path(tempfile.mkdtemp(prefix="tokenflow-rows-", dir=folder))
    place.chmod(0o755)
    try:
        with services.running(lambda: services.make_postgres(place)) as server:
            points = asyncio.run(_measure_all(server.database_url, server.process.pid, million, keys, results))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    _show(points)


async def _measure_all(url: str, server: int, million: int, keys: Keys, results: Path | None) -> list[Point]:
    connection = await asyncpg.connect(url, timeout=30)
    points = []
    filled = 0
    try:
        await migrate(connection, read_migrations())
        for size in sorted({*(size for size in SIZES if size < million), million}):
            await _fill(connection, filled, size * MILLION, keys)
            filled = max(filled, size * MILLION)
            points.append(await _measure(connection, server, filled, keys))
            filled += MEASURED
            print(points[-1], flush=True)  # noqa: T201 - a command's progress
            if results is not None:
                with results.open("a") as lines:
                    lines.write(json.dumps(asdict(points[-1])) + "\n")
    finally:
        await connection.close()
    return points


async def _fill(connection: Connection, first: int, end: int, keys: Keys) -> None:
    """Bring the table to `end` rows; not synchronous, for these rows are of no worth."""
    sequential = keys is Keys.SEQUENTIAL
    statement = FILL.format(
        record_id="uuidv7()" if sequential else "gen_random_uuid()",
        token="(10000000000 + n)::text" if sequential else "left(md5(n::text), 11)",
    )
    if first >= end:
        return
    await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
    if not sequential:
        await connection.execute(DROP_INDEXES)
    for start in range(first, end, STEP):
        await connection.execute(statement, start, min(start + STEP, end))
    if not sequential:
        await connection.execute(MAKE_INDEXES)
    await connection.execute("RESET synchronous_commit; RESET maintenance_work_mem")
    await connection.execute("VACUUM ANALYZE outcomes")  # now, or autovacuum does it while the next rows are measured


async def _measure(connection: Connection, server: int, rows: int, keys: Keys) -> Point:
    """Write MEASURED rows from the moment of a checkpoint on, when a page's first change costs the most log."""
    await connection.execute("CHECKPOINT")
    batches = list(_batches(rows, keys))
    log_start = await _log(connection)
    cpu_start, started = _cpu_seconds(server), time.perf_counter()
    for batch in batches:
        await connection.execute(UPSERT_OUTCOMES, *outcome_columns(in_write_order(batch)))
    seconds, cpu = time.perf_counter() - started, _cpu_seconds(server) - cpu_start
    log_end = await _log(connection)
    table, index = await connection.fetchrow("SELECT pg_table_size('outcomes'), pg_indexes_size('outcomes')")  # type: ignore[misc]  # one row
    return Point(
        keys=keys,
        million=rows / MILLION,
        rows_per_second=round(MEASURED / seconds),
        server_us=round(cpu / MEASURED * 1e6, 2),
        wal_bytes=round((log_end[0] - log_start[0]) / MEASURED),
        full_pages=round((log_end[1] - log_start[1]) / MEASURED, 4),
        table_gigabytes=round(table / 1e9, 2),
        index_gigabytes=round(index / 1e9, 2),
    )


def _batches(rows: int, keys: Keys) -> Iterator[list[Settled]]:
    chance = random.Random(rows)  # noqa: S311 - keys of a benchmark
    for start in range(rows, rows + MEASURED, ROWS_PER_STATEMENT):
        numbers = range(start, start + ROWS_PER_STATEMENT)
        if keys is Keys.SEQUENTIAL:
            yield [outcome(UUID(new_record_id()), f"{10_000_000_000 + number}", number) for number in numbers]
        else:
            yield [outcome(UUID(uuid.uuid4().bytes), f"{chance.getrandbits(44):011x}", number) for number in numbers]


async def _log(connection: Connection) -> tuple[int, int]:
    """Bytes of write-ahead log so far, and full pages in it."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await connection.fetchrow("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, (SELECT wal_fpi FROM pg_stat_wal)")
    assert row is not None  # noqa: S101 - a query without FROM
    return int(row[0]), int(row[1])


def _cpu_seconds(server: int) -> float:
    """CPU of the server and all its processes so far; none of them ends while this is measured."""
    root = psutil.Process(server)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def _show(points: list[Point]) -> None:
    table = Table(
        "million rows", "rows/s", "of the first", "server us/row", "of the first", "WAL bytes/row", "full pages/row"
    )
    first = points[0]
    for point in points:
        table.add_row(
            f"{point.million:.1f}",
            f"{point.rows_per_second:,.0f}",
            f"{point.rows_per_second / first.rows_per_second:.2f}",
            f"{point.server_us:.1f}",
            f"{point.server_us / first.server_us:.2f}",
            f"{point.wal_bytes:,.0f}",
            f"{point.full_pages:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
