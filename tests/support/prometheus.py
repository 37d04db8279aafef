"""A real Prometheus for a test, and what is asked of it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from infra.prometheus.local import LocalPrometheus
from tests.support.services import free_ports, running

ANSWER_SECONDS = 10.0
Labels = Mapping[str, str]


class QueryError(AssertionError):
    """Prometheus refuses a query; the text is its reason."""


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one series of an answer: (epoch seconds, value), in order; a single one for an instant."""

    labels: Labels
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The latest value."""
        return self.points[-1][1]


class Prometheus:
    """Asks a Prometheus; each question has a deadline."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def query(self, expression: str, *, at: float | None = None) -> list[Series]:
        """Evaluate an expression at a moment (epoch seconds), or now; of a range (`x[1m]`) the samples as scraped."""
        found = await self._ask("query", query=expression, time=f"{time.time() if at is None else at:.3f}")
        return [Series(each["metric"], _points(each)) for each in found]

    async def query_range(self, expression: str, *, start: float, end: float, step_seconds: float) -> list[Series]:
        """Evaluate an expression at every step of a time."""
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_seconds:g}"}
        found = await self._ask("query_range", query=expression, **span)
        return [Series(each["metric"], _points(each)) for each in found]

    async def value(self, expression: str, *, at: float | None = None) -> float | None:
        """Return the one value of an expression, None where there is none."""
        found = await self.query(expression, at=at)
        assert len(found) < 2, f"{expression}: {len(found)} series"
        return found[0].last if found else None

    async def _ask(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{self._url}/api/v1/{path}", data=parameters) as response,
        ):
            answer = await response.json()
        if answer["status"] != "success":
            raise QueryError(f"{parameters['query']}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def running_prometheus(folder: Path, *, scrape_seconds: float) -> Iterator[LocalPrometheus]:
    """Run a Prometheus until the block ends; `scrape` tells it what to look at."""

    def make() -> LocalPrometheus:
        (port,) = free_ports(1)
        return LocalPrometheus(
            folder / "prometheus", port, log_path=folder / "prometheus.log", scrape_seconds=scrape_seconds
        )

    with running(make) as prometheus:
        yield prometheus


def _points(series: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Read one value, or several where a range was asked for."""
    pairs = series["values"] if "values" in series else [series["value"]]
    return tuple((float(moment), float(value)) for moment, value in pairs)
