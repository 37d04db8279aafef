"""The table of the five numbers by their witnesses. Pure: `rows` works it out, `markdown` writes it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from bench.five_numbers_witnesses import Timeline, Witnesses

Witness = tuple[float, ...] | None
"""Its values at the row's moments, None where it cannot know."""
LEAP_RECORDS: Final = 1_000
"""More than that between two scrapes is the burst; draining is 600 in five seconds."""
WITNESSES: Final = ("Prometheus (rules)", "Postgres", "mock", "Kafka's tool")


@dataclass(frozen=True, slots=True)
class Row:
    """One number: what each witness said at the same moments. `digits`: decimals that are printed."""

    number: str
    unit: str
    digits: int
    values: tuple[Witness, Witness, Witness, Witness]

    @property
    def means(self) -> list[float | None]:
        """Mean over the moments, by witness."""
        return [None if each is None else fmean(each) for each in self.values]

    @property
    def differences(self) -> list[float | None]:
        """Each mean against that of Prometheus, as a ratio; None for what cannot know."""
        first, *others = self.means
        if not first:
            return [None for _ in others]
        return [None if each is None else each / first - 1 for each in others]

    @property
    def largest(self) -> float | None:
        """The largest difference at any moment, as a ratio of the mean."""
        first, *others = self.values
        assert first is not None  # noqa: S101 - Prometheus is asked for each number
        pairs = [abs(one - other) for each in others if each is not None for one, other in zip(each, first, strict=True)]
        return max(pairs) / fmean(first) if pairs and fmean(first) else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the table is made of. `rules`: number -> its recorded samples over the run."""

    rules: Mapping[str, Timeline]
    calling: Timeline
    minutes: Sequence[Mapping[str, Any]]
    """Of the rows in Postgres, at `moments`: throughput, end_to_end_seconds, dead_letter_ratio of the minute before."""
    rows_at_tool: Sequence[int]
    moments: Sequence[float]
    witnesses: Witnesses
    dead_letters: int
    """Records in the DLQ topic at the end, by Kafka's tool; divided by the offsets committed."""
    planned_latency: float


def rows(found: Evidence) -> Iterator[Row]:
    """Work out each number, at the moments of the load at which a whole minute lies before."""
    seen, at = found.witnesses, _at(found.moments)
    ended = [seen.ended.rise(moment) for moment in found.moments]
    yield Row(
        "throughput, final outcomes",
        "tokens/s",
        1,
        (
            at(found.rules["throughput"].at),
            tuple(float(each["throughput"]) for each in found.minutes),
            tuple(each / 60 for each in ended),
            at(lambda moment: seen.committed.rise(moment) / 60),
        ),
    )
    yield Row(
        "average latency, provider call",
        "s",
        3,
        (
            at(found.rules["provider_latency"].at),
            None,
            tuple(60 * seen.in_flight.mean(m) / calls for m, calls in zip(found.moments, ended, strict=True)),
            None,
        ),
    )
    end_to_end = tuple(float(each["end_to_end_seconds"]) for each in found.minutes)
    yield Row("average latency, append to outcome", "s", 3, (at(found.rules["end_to_end"].at), end_to_end, None, None))
    yield _queue(found)
    yield Row("of these calling", "records", 0, (at(found.calling.mean), None, at(seen.in_flight.mean), None))
    failed = [seen.failed.rise(moment) for moment in found.moments]
    dead = tuple(float(each["dead_letter_ratio"]) * 100 for each in found.minutes)
    of_all = tuple(100 * found.dead_letters / seen.tool[-1].committed for _ in found.moments)
    yield Row(
        "error rate, failed calls / calls",
        "%",
        2,
        (
            at(lambda moment: 100 * found.rules["error_ratio"].at(moment)),
            dead,
            tuple(100 * bad / calls for bad, calls in zip(failed, ended, strict=True)),
            of_all,
        ),
    )
    dlq = at(lambda moment: 100 * found.rules["dead_letter_ratio"].at(moment))
    yield Row("dead letters / final outcomes", "%", 2, (dlq, dead, None, of_all))
    busy = at(lambda moment: 100 * seen.in_flight.mean(moment) / seen.slots.mean(moment))
    utilisation = at(lambda moment: 100 * found.rules["utilisation"].at(moment))
    yield Row("worker utilisation, calling / slots", "%", 1, (utilisation, None, busy, None))


@dataclass(frozen=True, slots=True)
class QueueMoment:
    """The queue when Kafka's tool read it. `leap`: it leapt between two scrapes, so Prometheus has no number for then."""

    moment: float
    by_rule: float
    sent_without_row: float
    by_tool: float
    leap: bool


def queue_moments(found: Evidence) -> Iterator[QueueMoment]:
    """Compare the queue at each moment at which Kafka's tool read."""
    queue, seen = found.rules["queue_size"], found.witnesses
    for sample, settled in zip(seen.tool, found.rows_at_tool, strict=True):
        at = sample.moment
        before, after = queue.around(at)
        left = max(0.0, seen.sent.at(at) - settled)
        yield QueueMoment(at, queue.at(at), left, float(sample.lag), leap=abs(after - before) > LEAP_RECORDS)


def _queue(found: Evidence) -> Row:
    """Compare the queue, but for a leap."""
    steady = [each for each in queue_moments(found) if not each.leap]
    by_rule, by_tool = tuple(each.by_rule for each in steady), tuple(each.by_tool for each in steady)
    sent = tuple(each.sent_without_row for each in steady)
    return Row("queue size, lag of tokens", "records", 0, (by_rule, sent, None, by_tool))


def _at(moments: Sequence[float]) -> Callable[[Callable[[float], float]], tuple[float, ...]]:
    """Return what evaluates a function at each of the moments."""
    return lambda function: tuple(map(function, moments))


def markdown(table: Sequence[Row]) -> str:
    """Write the table."""
    lines = [f"| number | unit | {' | '.join(WITNESSES)} | largest difference in a moment |", f"|---{'|---' * 6}|"]
    for row in table:
        first, *others = row.means
        cells = [f"{first:,.{row.digits}f}"]
        for mean, difference in zip(others, row.differences, strict=True):
            told = "" if difference is None else f" ({difference:+.1%})"
            cells.append("-" if mean is None else f"{mean:,.{row.digits}f}{told}")
        largest = "-" if row.largest is None else f"{row.largest:.1%}"
        lines.append(f"| {row.number} | {row.unit} | {' | '.join(cells)} | {largest} |")
    return "\n".join(lines) + "\n"


def queue_table(found: Evidence) -> str:
    """Write the queue size at each moment at which Kafka's tool read."""
    moments = list(queue_moments(found))
    lines = ["| s | Prometheus | sent - rows | Kafka's tool | |", "|---|---|---|---|---|"]
    for each in moments:
        values = (each.moment - moments[0].moment, each.by_rule, each.sent_without_row, each.by_tool)
        cells = " | ".join(f"{value:,.0f}" for value in values)
        lines.append(f"| {cells} | {'the burst, between two scrapes: in no mean' if each.leap else ''} |")
    return "\n".join(lines) + "\n"
