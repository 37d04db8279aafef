"""What the witnesses of the five numbers saw: the mock and the load every second, Kafka's own tool every quarter minute.

Counts are kept as timelines, so that any of them can be asked for the minute before any moment, as a recording rule is.
"""

import asyncio
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from bench.five_numbers_load import Load
from tests.support.lag import ask_kafkas_tool
from tests.support.mock_processes import MockProcess
from tests.support.prometheus import Series
from tests.support.system import System

SAMPLE_SECONDS: Final = 1.0
TOOL_SECONDS: Final = 15.0
MINUTE: Final = 60.0
MINUTES_OF_ROWS: Final = """
SELECT moment, count(record_id) / 60.0 AS throughput,
       avg(extract(epoch FROM settled_at - source_timestamp)) AS end_to_end_seconds,
       count(*) FILTER (WHERE outcome = 'dead_lettered') / nullif(count(record_id), 0)::float8 AS dead_letter_ratio
FROM unnest($1::float8[]) AS moment
LEFT JOIN outcomes ON outcome <> 'retrying' AND settled_at > to_timestamp(moment - 60) AND settled_at <= to_timestamp(moment)
GROUP BY moment ORDER BY moment
"""
ROWS_UNTIL: Final = """
SELECT moment, count(record_id) AS rows
FROM unnest($1::float8[]) AS moment LEFT JOIN outcomes ON outcome <> 'retrying' AND settled_at <= to_timestamp(moment)
GROUP BY moment ORDER BY moment
"""


@dataclass
class Timeline:
    """Values at moments (epoch seconds), in order; between two of them a straight line."""

    moments: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, series: Series) -> "Timeline":
        """Take the samples of a series."""
        return cls([moment for moment, _ in series.points], [value for _, value in series.points])

    def add(self, moment: float, value: float) -> None:
        """Note a value."""
        self.moments.append(moment)
        self.values.append(value)

    def at(self, moment: float) -> float:
        """Return the value at a moment; before the first and after the last it is theirs."""
        place = bisect_left(self.moments, moment)
        if place in (0, len(self.moments)):
            return self.values[min(place, len(self.moments) - 1)]
        before, after = self.moments[place - 1], self.moments[place]
        part = (moment - before) / (after - before)
        return self.values[place - 1] + part * (self.values[place] - self.values[place - 1])

    def around(self, moment: float) -> tuple[float, float]:
        """Return the last value noted before a moment and the first one after it."""
        place = bisect_left(self.moments, moment)
        return self.values[max(place - 1, 0)], self.values[min(place, len(self.values) - 1)]

    def reached(self, value: float) -> float:
        """Return when it first had this value, of what only grows."""
        place = bisect_left(self.values, value)
        if place in (0, len(self.values)):
            return self.moments[min(place, len(self.values) - 1)]
        before, after = self.values[place - 1], self.values[place]
        part = (value - before) / (after - before)
        return self.moments[place - 1] + part * (self.moments[place] - self.moments[place - 1])

    def rise(self, moment: float) -> float:
        """Return by how much it grew in the minute before."""
        return self.at(moment) - self.at(moment - MINUTE)

    def mean(self, moment: float) -> float:
        """Return its mean over the minute before, of the values noted in it."""
        begin, end = bisect_left(self.moments, moment - MINUTE), bisect_left(self.moments, moment)
        return sum(self.values[begin:end]) / (end - begin)


@dataclass(frozen=True, slots=True)
class ToolSample:
    """One answer of kafka-consumer-groups about `tokens`. `moment`: when it read, since as many had been sent as it saw.

    The tool takes a second or more, most of it before it reads.
    """

    moment: float
    committed: int
    end: int
    lag: int


@dataclass
class Witnesses:
    """Timelines of the mock's and the load's counts, and the answers of Kafka's tool."""

    ended: Timeline = field(default_factory=Timeline)
    failed: Timeline = field(default_factory=Timeline)
    in_flight: Timeline = field(default_factory=Timeline)
    sent: Timeline = field(default_factory=Timeline)
    committed: Timeline = field(default_factory=Timeline)
    slots: Timeline = field(default_factory=Timeline)
    """Of all workers, noted by whoever starts and stops them; it changes in steps."""
    tool: list[ToolSample] = field(default_factory=list)

    async def watch(self, mock: MockProcess, load: Load) -> None:
        """Sample the mock and the load until cancelled."""
        while True:
            stats = await asyncio.to_thread(mock.stats)
            now = time.time()
            self.ended.add(now, stats["answered"] + stats["failed"])
            self.failed.add(now, stats["failed"])
            self.in_flight.add(now, stats["in_flight"])
            self.sent.add(now, load.sent)
            if self.slots.values:
                self.slots.add(now, self.slots.values[-1])
            await asyncio.sleep(SAMPLE_SECONDS)

    async def watch_tool(self, system: System) -> None:
        """Ask Kafka's own tool until cancelled."""
        while True:
            await self.ask_tool(system)
            await asyncio.sleep(TOOL_SECONDS)

    async def ask_tool(self, system: System) -> None:
        """Ask it once, if the group is not between two assignments, when it has no rows."""
        begun = time.time()
        answer = await ask_kafkas_tool(system.kafka, system.topic)
        now = time.time()
        rows = [row for at, row in answer.rows.items() if at.topic == system.topic]
        if len(rows) == system.partitions and all(row.committed is not None and row.lag is not None for row in rows):
            committed, end = sum(row.committed or 0 for row in rows), sum(row.end or 0 for row in rows)
            moment = now if self.sent.at(begun) >= end else min(now, max(begun, self.sent.reached(end)))
            self.tool.append(ToolSample(moment, committed, end, sum(row.lag or 0 for row in rows)))
            self.committed.add(moment, committed)
