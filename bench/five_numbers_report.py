"""The report of the five numbers: tables, totals, machine and versions, and why witnesses may differ."""

import asyncio
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.five_numbers_table import Evidence, markdown, queue_table, rows
from infra.lint.check import ROOT
from infra.local.artifacts import read_lock
from infra.prometheus.programs import find_programs
from tests.support.system import System

HEAD: Final = """\
# The five numbers by four witnesses

Made by `python -m bench.five_numbers`, {date}, commit {commit}. {machine};
Python {python}, Kafka {kafka}, PostgreSQL {postgres}, {prometheus}; load average {load} at the end.
{note}

A system of real processes: 3 workers of 140 slots, the mock API at 0.4-1.6 s with 2 % of 500 and 1 % of 404, 240 tokens/s by
the console producer and 60 by the HTTP API for {minutes:.0f} minutes, 6,000 more at once in the middle, and there one worker
is stopped (SIGTERM) and another one joins. Prometheus scrapes every 5 s, with the rules of `infra/prometheus/rules/`.

## The numbers

A mean over the {moments} moments at which the rules were evaluated while the load ran, each of them of the minute before; in
brackets the difference to Prometheus. The last column is the largest difference at any one of these moments.

"""
QUEUE_HEAD: Final = """
## Queue size, moment by moment

At the moments at which Kafka's own tool answered; *sent - rows* are tokens handed over and without an outcome in Postgres.

"""
TOTALS: Final = """
## Totals of the whole run

| what | Prometheus (counters) | others |
|---|---|---|
| final outcomes | {outcomes:,.0f} | {rows:,} rows in Postgres; {committed:,} offsets committed; {sent:,} tokens sent |
| provider calls | {calls:,.0f} | {mock_calls:,} by the mock |
| failed calls | {failed:,.0f} | {mock_failed:,} by the mock; {dead_letters:,} records in the DLQ topic by Kafka's tool |
| tokens accepted by the API | {ingested:,.0f} | {by_api:,} answered 202 |
| slot-seconds | {slot_seconds:,.0f} | {lives_seconds:,.0f} = slots x time from ready to the end ({slots_off:+.1%}) |
| seconds of a call | - | {planned:.3f} on average by the mock's own plan |

## At rest, more than a minute later

{idle}

"""
WHY: Final = """\
## Why they differ

- **Age.** A rule sees the last scrape, up to 5 s old, and looks a minute back from there; the others are asked for the
  very minute. While a number is steady that is nothing; where it rises or falls (the burst, the rebalance) it is most of
  the last column.
- **Coming and going.** A worker that is stopped takes with it what it counted after its last scrape. One that joins is
  scraped up to 10 s after its start: the throughput rule adds what its counters said then. For either, rate()
  extrapolates by half a scrape interval, 2.5 s of one worker's outcomes in one minute.
- **Latency.** The mock's is calls in flight / calls that ended (Little's law), sampled once a second, and ends when its
  answer leaves. The worker's begins before it connects and ends with the answer parsed.
- **Queue.** *sent - rows* counts a token from the moment at which it was handed to the console producer, which gathers
  for 0.1 s, until its row is there; lag counts it from the broker's append until its offset is committed, at most half a
  second after all earlier ones of its partition have settled: here 1.6 s, the longest call, after the oldest began, which
  makes (1.6 - 1.0 + 0.25) x 325 = 275 records more. Kafka's tool takes a second or more, most of it before it reads; its
  moment is taken to be the one at which as many tokens had been sent as it saw in the log. Prometheus' is between two
  scrapes, a straight line where the burst was a step.
- **Kafka's tool** is asked every 15 s: its throughput is one of commits, with straight lines between. Its share of dead
  letters is of the whole run, since DLQ and offsets are counted at the end.
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over the whole run. The first five are Prometheus': the last value of every process, the stopped one's too."""

    outcomes: float
    calls: float
    failed: float
    slot_seconds: float
    ingested: float
    sent: int
    by_api: int
    mock_calls: int
    mock_failed: int
    lives_seconds: float


async def report(found: Evidence, totals: Totals, idle: Mapping[str, float | None], system: System, *, note: str) -> str:
    """Write everything down."""
    ((count,),) = await system.rows("SELECT count(*) FROM outcomes")
    ((postgres,),) = await system.rows("SHOW server_version")
    seconds = found.moments[-1] - found.moments[0] + 60
    head = HEAD.format(
        note=note, minutes=seconds / 60, moments=len(found.moments), postgres=postgres.split()[0], **await _machine()
    )
    told = "; ".join(f"{name} {'has no number' if value is None else f'{value:g}'}" for name, value in idle.items())
    text = TOTALS.format(
        **{name: getattr(totals, name) for name in Totals.__dataclass_fields__},
        rows=count,
        committed=found.witnesses.tool[-1].committed,
        dead_letters=found.dead_letters,
        planned=found.planned_latency,
        slots_off=totals.slot_seconds / totals.lives_seconds - 1,
        idle=f"{told}.",
    )
    return head + markdown(list(rows(found))) + QUEUE_HEAD + queue_table(found) + text + WHY


async def _machine() -> dict[str, str]:
    """Describe where and with what it ran."""
    (kafka,) = {
        jar.version for jar in read_lock((ROOT / "infra/local/jars.lock").read_text()) if jar.artifact == "kafka-tools"
    }
    programs = find_programs(fallback=Path(), progress=lambda _: None)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": await _first_line("git", "rev-parse", "--short", "HEAD"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores shared by all of it, {memory:.0f} GiB",
        "load": f"{os.getloadavg()[1]:.1f}",
        "python": platform.python_version(),
        "kafka": kafka,
        "prometheus": (await _first_line(str(programs.prometheus), "--version")).partition(" (")[0].replace(", version", ""),
    }


async def _first_line(*argv: str) -> str:
    done = await asyncio.to_thread(subprocess.run, argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.splitlines()[0]
