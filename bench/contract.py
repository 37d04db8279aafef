"""Lines through the real console producer into a running worker: `python -m bench.contract --records 100000`.

A Kafka, a PostgreSQL and a mock API of its own, which answers at once. Good tokens, and among them the line-shaped part of
the corpus, over and over. Printed: what was sent and what was stored by kind, whether the bytes in the DLQ are those that
were sent, what was lost, and how long it took. Exit code 1 where anything differs.
"""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO

import psutil
import typer
from rich.console import Console
from rich.table import Table

from tests.support import services
from tests.support.contract import read_letters
from tests.support.corpus import lines
from tests.support.mock_processes import running_mock_api
from tests.support.processes import ROOT
from tests.support.system import System, WorkerProcess, running_system

MIB = 1_048_576
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""Without a new row for so long, what is missing is lost."""
MALFORMED = "dead_lettered (malformed)"


@dataclass
class Run:
    """What was sent, and what came of it."""

    sent: Counter[str] = field(default_factory=Counter)
    sent_malformed: Counter[bytes | None] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    produce_seconds: float = 0.0
    total_seconds: float = 0.0
    lag: int = 0
    worker_mib: float = 0.0
    rows_equal: bool = False
    dlq_equal: bool = False

    @property
    def lost(self) -> int:
        """Records without a row."""
        return self.sent.total() - self.stored.total()

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        return self.sent == self.stored and self.rows_equal and self.dlq_equal and self.lag == 0


def contract(
    records: Annotated[int, typer.Option(min=1, help="Lines to send.")] = 100_000,
    nasty_every: Annotated[int, typer.Option(min=0, help="Every n-th line is one of the corpus; 0 = none.")] = 10,
) -> None:
    """Send lines through kafka-console-producer, and account for each of them."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokenflow-bench-")))
        kafka = stack.enter_context(services.running(lambda: services.make_kafka(folder)))
        postgres = stack.enter_context(services.running(lambda: services.make_postgres(folder)))
        run = asyncio.run(_run(kafka.bootstrap_servers, postgres.database_url, folder, records, nasty_every))
    _print(run)
    raise typer.Exit(0 if run.good else 1)


async def _run(kafka: str, server: str, folder: Path, records: int, nasty_every: int) -> Run:
    database = services.with_database(server, await services.create_template(server))
    run = Run()
    path = folder / "lines.txt"
    with path.open("wb") as file:
        _write_lines(file, run, records, nasty_every)
    with running_mock_api(folder) as mock:
        mock.behave()
        async with running_system(kafka=kafka, database=database, topic_base="tokens", mock=mock, folder=folder) as system:
            worker = system.start_worker(WORKER_CONCURRENCY="50", QUEUE_BATCH_SIZE="100")
            await worker.ready()
            await _send_and_wait(system, worker, path, run)
            await _compare(system, run)
            await worker.terminate()
    return run


def _write_lines(file: BinaryIO, run: Run, records: int, nasty_every: int) -> None:
    nasty = itertools.cycle(lines())
    for number in range(records):
        if nasty_every and number % nasty_every == 0:
            case = next(nasty)
            line, token = case.value or b"", case.token
        else:
            line, token = b"%09d" % number, ""
        run.sent[MALFORMED if token is None else "succeeded"] += 1
        if token is None:
            run.sent_malformed[line] += 1
        file.write(line + b"\n")


async def _send_and_wait(system: System, worker: WorkerProcess, path: Path, run: Run) -> None:
    """Run the console producer to its end, then wait for the worker."""
    begin = time.monotonic()
    options = ["--topic", system.topic, "--compression-codec", "lz4", "--batch-size", "131072"]
    with path.open("rb") as file:
        await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-m", "infra.cli", "kafka", "console-producer", *options],
            env={**os.environ, **system.environment, "PYTHONPATH": str(ROOT)},
            stdin=file,
            check=True,
        )
    run.produce_seconds = time.monotonic() - begin
    rows, moved = 0, time.monotonic()
    while rows < run.sent.total() and time.monotonic() < moved + PATIENCE_SECONDS:
        await asyncio.sleep(POLL_SECONDS)
        ((now,),) = await system.rows("SELECT count(*) FROM outcomes")
        if now > rows:
            rows, moved = now, time.monotonic()
        run.worker_mib = max(run.worker_mib, psutil.Process(worker.process.pid).memory_info().rss / MIB)
    run.total_seconds = time.monotonic() - begin


async def _compare(system: System, run: Run) -> None:
    kinds = await system.rows("SELECT outcome::text, error_kind, count(*) FROM outcomes GROUP BY 1, 2")
    run.stored.update({f"{name} ({kind})" if kind else name: count for name, kind, count in kinds})
    payloads = await system.rows("SELECT payload FROM dead_letters")
    run.rows_equal = Counter(row["payload"] for row in payloads) == run.sent_malformed
    letters = await read_letters(system.kafka, f"{system.topic}.dlq")
    run.dlq_equal = Counter(letter.value for found in letters.values() for letter in found) == run.sent_malformed
    with contextlib.suppress(AssertionError):  # told by the lag that is printed
        await system.drained()
    run.lag = await system.lag()


def _print(run: Run) -> None:
    table = Table("kind", "sent", "stored")
    for kind in sorted(run.sent | run.stored):
        table.add_row(kind, f"{run.sent[kind]:,}", f"{run.stored[kind]:,}")
    for name, text in _facts(run):
        table.add_row(name, "", text)
    Console().print(table)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    yield "lost", f"{run.lost:,}"
    yield "lag left", f"{run.lag:,}"
    yield "bytes in dead_letters", "as sent" if run.rows_equal else "DIFFERENT"
    yield "bytes in tokens.dlq", "as sent" if run.dlq_equal else "DIFFERENT"
    yield "console producer", f"{run.produce_seconds:.1f} s"
    yield "until the last row", f"{run.total_seconds:.1f} s ({run.sent.total() / run.total_seconds:,.0f}/s)"
    yield "worker, largest", f"{run.worker_mib:,.0f} MiB"


if __name__ == "__main__":
    typer.run(contract)
