"""What must be true of every hop of every record, at the end of a scenario with retries. Pure.

A dead letter lies in the DLQ with what its row says of it; nothing that came with a record, or was first said of it, is lost
on the way; no retry was called before it was due.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tests.support.account import Repeat, Row
from tests.support.feed import traceparent_of
from tests.support.hops import Hop
from topics.catalogue import retry_delay_seconds

FEW = 5
OURS_ONCE = ("record-id", "attempt", "first-failed-at", "error-kind", "error-message", "traceparent", "source-offset")


@dataclass(frozen=True, slots=True)
class Origins:
    """Where each token was produced to: the topic, and token -> partition and offset."""

    topic: str
    placed: Mapping[str, tuple[int, int]]


def hop_complaints(hops: Sequence[Hop], rows: Sequence[Row], origins: Origins) -> list[str]:
    """Say what is not as promised, a sentence each, a few of a kind."""
    copies = [hop for hop in hops if retry_delay_seconds(hop.topic)]
    letters = [hop for hop in hops if not retry_delay_seconds(hop.topic)]
    return [
        *islice(_unexplained(letters, rows), FEW),
        *islice(_changed(hops, origins), FEW),
        *islice(_first_failures(copies, letters), FEW),
    ]


def due_errors(hops: Iterable[Hop], calls: Mapping[str, int], repeats: Iterable[Repeat], rows: Iterable[Row]) -> list[float]:
    """Seconds from the moment when each retry was due to its call, of the tokens that were called as often as tried.

    By the broker's append timestamp and the API's clock, which is the same one here: below zero is too early.
    """
    exact = {row.token for row in rows if row.attempt == calls.get(row.token) and not row.redrive_count}
    due: dict[str, dict[int, float]] = defaultdict(dict)
    for hop in hops:
        if delay := retry_delay_seconds(hop.topic):
            due[hop.token].setdefault(hop.attempt, hop.timestamp_ms / 1000 + delay)
    number: Counter[str] = Counter()
    found = []
    for repeat in repeats:
        number[repeat.token] += 1
        moment = due[repeat.token].get(number[repeat.token] + 1)
        if moment is not None and repeat.token in exact:
            found.append(repeat.at - moment)
    return found


def attempts_before_redrive(hops: Iterable[Hop], rows: Iterable[Row]) -> dict[str, int]:
    """Token -> attempts that ended in dead letters which were redriven since."""
    redriven = {row.token: row.redrive_count for row in rows if row.redrive_count}
    last: dict[tuple[str, int], int] = {}
    for hop in hops:
        count = int(hop.headers.get("redrive-count", "0"))
        if not retry_delay_seconds(hop.topic) and count < redriven.get(hop.token, 0):
            last[hop.token, count] = hop.attempt
    total: Counter[str] = Counter()
    for (token, _), attempts in last.items():
        total[token] += attempts
    return dict(total)


def _unexplained(letters: Sequence[Hop], rows: Sequence[Row]) -> Iterator[str]:
    """Find dead letters without their record in the DLQ, and records that say something else than their row."""
    said = {(hop.record_id, hop.attempt, hop.headers.get("error-kind"), hop.headers.get("error-message")) for hop in letters}
    for row in rows:
        if row.outcome != "dead_lettered":
            continue
        told = (row.record_id, row.attempt, row.error_kind, row.error_message)
        if not row.error_message or told not in said:
            yield f"the dead letter of {row.token} is not in the DLQ as its row tells it: {told}"
    strangers = {hop.record_id for hop in letters} - {row.record_id for row in rows}
    yield from (f"the DLQ has a record {each} that no row knows" for each in strangers)


def _changed(hops: Iterable[Hop], origins: Origins) -> Iterator[str]:
    """Find hops that lost what came with their record, or that carry one of ours twice."""
    for hop in hops:
        partition, offset = origins.placed[hop.token]
        expected = {
            "source-topic": origins.topic,
            "source-partition": str(partition),
            "source-offset": str(offset),
            "traceparent": traceparent_of(hop.token),
        }
        wrong = {name: hop.headers.get(name) for name, value in expected.items() if hop.headers.get(name) != value}
        twice = [name for name in OURS_ONCE if hop.names.count(name) != 1]
        if wrong or twice:
            yield f"{hop.topic}-{hop.partition}@{hop.offset} of {hop.token} says {wrong}, and not once {twice}"


def _first_failures(copies: Iterable[Hop], letters: Iterable[Hop]) -> Iterator[str]:
    """Find hops that tell another first failure than the first copies of their record do."""
    copies = list(copies)
    first: dict[str, set[str]] = defaultdict(set)
    for copy in copies:
        if copy.attempt == 2:  # what the first failure led to
            first[copy.record_id].add(copy.headers.get("first-failed-at", ""))
    for hop in (*copies, *letters):
        if hop.record_id in first and hop.headers.get("first-failed-at", "") not in first[hop.record_id]:
            yield f"{hop.topic}-{hop.partition}@{hop.offset} of {hop.token}: not the first-failed-at of its first copy"
