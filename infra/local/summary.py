"""What the screen says once the stack is ready: addresses, the ceiling, three commands to paste. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Summary:
    """Where everything is. `folder` is the folder that the stack runs in, `program` the command line's own path."""

    api_url: str
    mock_api_url: str
    kafka: str
    postgres: str
    worker_urls: Sequence[str]
    concurrency: int
    batch_size: int
    topic: str
    folder: Path
    program: Path
    seconds: float
    detached: bool


def summary(s: Summary) -> str:
    """Write the text that stands below the table; every command in it is one line that a shell takes as it is."""
    return "\n".join([f"ready in {s.seconds:.1f} s", "", *_addresses(s), "", ceiling(s), "", *_commands(s), "", _ending(s)])


def ceiling(s: Summary) -> str:
    """Say how many calls may be in flight, as the two settings have it."""
    slots, workers = s.concurrency * s.batch_size, len(s.worker_urls)
    each = f"{s.concurrency} x {s.batch_size}"
    if workers == 1:
        return f"up to {slots:,} calls in flight: {each}"
    return f"up to {slots * workers:,} calls in flight: {workers} workers, each {each}"


def _addresses(s: Summary) -> list[str]:
    workers = (
        s.worker_urls[0] if len(s.worker_urls) == 1 else f"{s.worker_urls[0]} to {s.worker_urls[-1].rpartition(':')[2]}"
    )
    return [
        f"  API         {s.api_url}/docs",
        f"  workers     {workers}  (/status, /metrics)",
        f"  mock API    {s.mock_api_url}/stats",
        f"  Kafka       {s.kafka}",
        f"  PostgreSQL  {s.postgres}",
        "  logs        .tokenflow/logs/",
    ]


def _commands(s: Summary) -> list[str]:
    program = s.program.relative_to(s.folder) if s.program.is_relative_to(s.folder) else s.program
    body = '{"token": "5678"}'
    return [
        "Paste these into another terminal:",
        "",
        f"cd {shlex.quote(str(s.folder))}",
        f"echo 1234 | {shlex.quote(str(program))} kafka console-producer --topic {s.topic}",
        f"curl -X POST {s.api_url}/tokens -H 'content-type: application/json' -d '{body}'",
        f"curl '{s.api_url}/tokens/1234?wait_seconds=15'",
    ]


def _ending(s: Summary) -> str:
    return "`make down` stops it." if s.detached else "Ctrl-C stops it; so does `make down` from another terminal."
