"""A process that is measured: pinned, timed from outside, killed at the end."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from bench.harness.stack import Stage
from tests.support.mock_processes import ROOT
from tests.support.services import free_ports

END_SECONDS = 60.0
POLL_SECONDS = 0.1
MIB = 1_048_576
LAG_FILE = "LAG_FILE"
"""Stands among a subject's arguments for the path of its own file."""


class SubjectError(Exception):
    """A subject ended or stood still; the text shows the end of its log."""


class Subject:
    """One process under measure. `lag_path`: where a worker of bench/subjects writes the lateness of its event loop."""

    def __init__(self, module: str, arguments: Sequence[str], environment: Mapping[str, str], stage: Stage) -> None:
        (port,) = free_ports(1)
        self.port = port
        self.log_path = stage.folder / f"subject-{port}.log"
        self.lag_path = stage.folder / f"subject-{port}.lag"
        own = {"WORKER_INDEX": "0", "WORKER_PORT": str(port), "PYTHONPATH": str(ROOT)}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - code of the benchmark
                [sys.executable, "-m", module, *(str(self.lag_path) if each == LAG_FILE else each for each in arguments)],
                cwd=stage.folder,
                env={**os.environ, **stage.environment, **environment, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._seen = psutil.Process(self.process.pid)

    def pin(self, cores: Sequence[int]) -> None:
        """Keep it on these cores; before it has started threads, which inherit them."""
        self._seen.cpu_affinity(list(cores))

    @property
    def cpu_seconds(self) -> float:
        """User and system time so far, all threads."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        return float(self._seen.memory_info().rss) / MIB

    @property
    def log_end(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-12:])

    def check(self) -> None:
        """Raise SubjectError if it has ended."""
        if self.process.poll() is not None:
            raise SubjectError(f"it ended with {self.process.returncode}:\n{self.log_end}")

    def lags(self, *, start: float, end: float) -> list[float]:
        """How late its event loop was at each look between two moments (epoch seconds), in seconds."""
        if not self.lag_path.exists():
            return []
        looks = [json.loads(line) for line in self.lag_path.read_text().splitlines() if line.endswith("]")]
        return [late for at, late in looks if start <= at < end]

    async def ended(self, *, timeout_seconds: float) -> None:
        """Wait for its end."""
        async with asyncio.timeout(timeout_seconds):
            while self.process.poll() is None:  # noqa: ASYNC110 - a process tells nobody that it ends
                await asyncio.sleep(POLL_SECONDS)


@contextmanager
def running(
    stage: Stage,
    module: str,
    *arguments: str,
    cores: Sequence[int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Subject]:
    """Run a module on the measured core (or on `cores`) until the block ends."""
    subject = Subject(module, arguments, environment or {}, stage)
    try:
        subject.pin(stage.cores.measured if cores is None else cores)
        yield subject
    finally:
        subject.process.kill()
        subject.process.wait(END_SECONDS)


def slots(calls: int, *, size: int = 100) -> dict[str, str]:
    """Worker settings for so many calls in flight; `size` divides them, and is the batch where there is a batch endpoint."""
    assert calls % size == 0, calls  # noqa: S101 - a bug of the benchmark
    return {"WORKER_CONCURRENCY": str(calls // size), "QUEUE_BATCH_SIZE": str(size)}


@contextmanager
def worker(
    stage: Stage,
    *provider: str,
    cores: Sequence[int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Subject]:
    """Run a worker (see bench/subjects/worker.py) on the measured core until the block ends."""
    with running(stage, "bench.subjects.worker", LAG_FILE, *provider, cores=cores, environment=environment) as subject:
        yield subject
