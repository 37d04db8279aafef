"""The lag exporter as a process, and what it answers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.processes import ROOT
from tests.support.services import free_ports
from tests.support.waiting import eventually

END_SECONDS = 20
Series = dict[tuple[str, ...], float]


class ExporterProcess:
    """`tokenflow lag --listen` in a folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = folder / f"lag-{port}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "infra.cli", "lag", "--listen"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "LAG_EXPORTER_PORT": str(port), **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self.log_path.read_text()

    async def get(self, path: str) -> tuple[int, str]:
        """Ask it; an AssertionError shows its log where it does not answer."""
        assert self.process.poll() is None, self.log
        timeout = aiohttp.ClientTimeout(total=15)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self.url + path) as response:
                return response.status, await response.text()
        except aiohttp.ClientError as error:
            raise AssertionError(self.log) from error

    async def scrape(self) -> dict[str, Series]:
        """Metric -> label values in the order of their names -> value; a metric without series has no key."""
        status, text = await self.get("/metrics")
        assert status == 200, text
        found: dict[str, Series] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(sample.labels[name] for name in sorted(sample.labels))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    async def live(self) -> None:
        """Wait until it listens."""

        async def is_live() -> None:
            assert (await self.get("/health/live"))[0] == 200

        await eventually(is_live, timeout_seconds=20)

    def terminate(self) -> int:
        """Stop it as an operator would; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)


@contextmanager
def running_exporter(folder: Path, **settings: str) -> Iterator[ExporterProcess]:
    """Run an exporter until the block ends."""
    exporter = ExporterProcess(folder, **settings)
    try:
        yield exporter
    finally:
        exporter.process.kill()
        exporter.process.wait(END_SECONDS)
