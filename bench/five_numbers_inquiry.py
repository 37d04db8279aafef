"""Asks everybody once the run is over: Prometheus for samples, Postgres for rows, the mock and Kafka for their counts."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from bench.five_numbers_load import Load
from bench.five_numbers_report import Totals
from bench.five_numbers_table import Evidence
from bench.five_numbers_witnesses import MINUTE, MINUTES_OF_ROWS, ROWS_UNTIL, Timeline, Witnesses
from tests.support.lag import run_tokenflow
from tests.support.system import System
from tests.support.watched import Watched, planned_seconds

SETTLING_SECONDS: Final = MINUTE + 5.0
"""From the begin to the first moment at which a rule looks back on a whole minute of load."""
RULES: Final = {
    "throughput": "tokenflow:throughput:rate1m",
    "provider_latency": "tokenflow:provider_latency_seconds:avg1m",
    "end_to_end": "tokenflow:end_to_end_seconds:avg1m",
    "error_ratio": "tokenflow:error_ratio:rate1m",
    "dead_letter_ratio": "tokenflow:dead_letter_ratio:rate1m",
    "utilisation": "tokenflow:worker_utilisation_ratio:rate1m",
    "queue_size": "tokenflow:queue_size_records",
}


class Inquiry:
    """One run, from `begin` to `end` (epoch seconds) under load, as all of its witnesses tell it."""

    def __init__(self, eyes: Watched, witnesses: Witnesses, *, begin: float, end: float) -> None:
        self._eyes = eyes
        self._system = eyes.system
        self._witnesses = witnesses
        self._begin = begin
        self._end = end

    async def evidence(self) -> Evidence:
        """Collect what the table is made of."""
        rules = {name: await self._samples(rule) for name, rule in RULES.items()}
        moments = [moment for moment in rules["throughput"].moments if self._begin + SETTLING_SECONDS < moment < self._end]
        # As scraped: a recorded sample has the moment of its evaluation, up to 5 s later than what it tells.
        rules["queue_size"] = await self._samples(f'kafka_consumergroup_lag_sum{{topic="{self._system.topic}"}}')
        answered = [sample.moment for sample in self._witnesses.tool]
        stats = self._system.mock.stats("?tokens=true")
        return Evidence(
            rules=rules,
            calling=await self._samples("tokens_calling"),
            minutes=[dict(row) for row in await self._system.rows(MINUTES_OF_ROWS, moments)],
            rows_at_tool=[int(row["rows"]) for row in await self._system.rows(ROWS_UNTIL, answered)],
            moments=moments,
            witnesses=self._witnesses,
            dead_letters=await asyncio.to_thread(_dead_letters_by_kafkas_tool, self._system),
            planned_latency=planned_seconds(self._system.mock, stats["calls_by_token"]) / stats["calls"],
        )

    async def totals(self, load: Load, slot_seconds: float) -> Totals:
        """Collect the counts of the whole run; `slot_seconds` is what the workers' lives add up to."""
        stats = self._system.mock.stats()
        return Totals(
            sent=load.sent,
            by_api=load.by_api,
            outcomes=await self._last('tokens_outcomes_total{outcome!="retrying"}'),
            calls=await self._last("tokens_provider_requests_total"),
            failed=await self._last('tokens_provider_requests_total{result!="answered"}'),
            slot_seconds=await self._last("tokens_worker_slot_seconds_total"),
            ingested=await self._last("tokens_ingested_total"),
            mock_calls=stats["calls"],
            mock_failed=stats["failed"],
            lives_seconds=slot_seconds,
        )

    async def at_rest(self) -> Mapping[str, float | None]:
        """Ask for the numbers now, a minute after the last outcome."""
        return {name: await self._eyes.number(rule) for name, rule in RULES.items()}

    async def _samples(self, expression: str) -> Timeline:
        """Read the samples of a series as they were scraped or recorded; of several, their sum at each second."""
        found = await self._eyes.ask.query(f"{expression}[{time.time() - self._begin:.0f}s]")
        if len(found) == 1:
            return Timeline.of(found[0])
        summed = await self._eyes.ask.query_range(f"sum({expression})", start=self._begin, end=time.time(), step_seconds=1)
        return Timeline.of(summed[0])

    async def _last(self, selector: str) -> float:
        """Add up the last values of a counter of every process, those that have ended included."""
        span = f"{time.time() - self._begin + MINUTE:.0f}s"
        return await self._eyes.number(f"sum(max_over_time({selector}[{span}]))") or 0.0


def _dead_letters_by_kafkas_tool(system: System) -> int:
    """Count the records of the DLQ topic by kafka-get-offsets: lines topic:partition:end."""
    arguments = ("kafka", "get-offsets", "--topic", f"{system.topic}.dlq")
    done = run_tokenflow(*arguments, KAFKA_BOOTSTRAP_SERVERS=system.kafka)
    lines = (line.split(":") for line in done.stdout.splitlines())
    return sum(int(end) for topic, _, end in (line for line in lines if len(line) == 3) if topic == arguments[-1])  # noqa: PLR2004
