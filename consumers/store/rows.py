"""From settled records to the columns of the two upserts. Pure.

Columns, not rows: `unnest` takes one array a column, in the order of the .sql files.
"""

import base64
from collections.abc import Iterable, Sequence

import msgspec

from consumers.engine.record import DeadLettered, Outcome, Retrying, Settled, Succeeded
from topics.headers import RawHeaders

Columns = tuple[object, ...]
FIRST_MS = -62_135_596_800_000
LAST_MS = 253_402_300_799_999
"""The years 1 to 9999: what PostgreSQL stores and every reader's date has a place for."""


def in_write_order(settled: Sequence[Settled]) -> list[Settled]:
    """Sort by record id, so that two workers that write the same rows lock them in one order."""
    return sorted(settled, key=lambda one: one.record.record_id.bytes)


def outcome_columns(settled: Sequence[Settled]) -> Columns:
    """Arrange outcomes as the arguments of upsert_outcomes.sql: thirteen columns, and four values.

    A column that is null throughout is sent as an empty one, which `unnest` fills up with nulls. One of the four whose
    value is the same throughout is sent once, as that value. The client's encoding of an array costs 0.2 us an element.
    """
    records = [one.record for one in settled]
    names, results, kinds, messages = zip(*[_outcome(one.outcome) for one in settled], strict=True)
    outcomes, outcome = _once(list(names))
    attempts, attempt = _once([record.attempt for record in records])
    redrive_counts, redrive_count = _once([record.redrive_count for record in records])
    sources = [record.source for record in records]
    topics, topic = _once([source.topic for source in sources])
    return (
        [record.record_id for record in records],
        [record.token for record in records],
        _unless_null([record.job_id for record in records]),
        outcomes,
        attempts,
        redrive_counts,
        _unless_null(list(results)),
        _unless_null(list(kinds)),
        _unless_null(list(messages)),
        topics,
        [source.partition for source in sources],
        [source.offset for source in sources],
        [storable_ms(source.timestamp_ms) for source in sources],
        outcome,
        attempt,
        redrive_count,
        topic,
    )


def dead_letter_columns(settled: Sequence[Settled]) -> Columns:
    """Arrange the dead letters among the outcomes as the fourteen columns of upsert_dead_letters.sql; none = empty."""
    return _columns(_dead_letter_row(one, one.outcome) for one in settled if isinstance(one.outcome, DeadLettered))


def encode_headers(headers: RawHeaders) -> bytes:
    """Keep headers as they came: a JSON list of [name, base64 of the value or null], order and repeats included."""
    return msgspec.json.encode([[name, value and base64.b64encode(value).decode()] for name, value in headers])


def storable_ms(timestamp_ms: int) -> int:
    """Bring a record's timestamp into years that have a date: on a topic with CreateTime any producer sets any number."""
    return min(max(timestamp_ms, FIRST_MS), LAST_MS)


def _once(column: list[object]) -> tuple[list[object], object]:
    """Split a column that is never null: nothing and its value where that is the same throughout, else it and null."""
    first = column[0]
    return ([], first) if column.count(first) == len(column) else (column, None)


def _unless_null(column: list[object]) -> list[object]:
    return [] if column.count(None) == len(column) else column


def _outcome(outcome: Outcome) -> tuple[str, str | None, str | None, str | None]:
    match outcome:
        case Succeeded(result):
            return ("succeeded", result, None, None)
        case DeadLettered(kind, message):
            return ("dead_lettered", None, kind, message)
        case Retrying(kind, message):
            return ("retrying", None, kind, message)


def _dead_letter_row(settled: Settled, dead: DeadLettered) -> tuple[object, ...]:
    record, source = settled.record, settled.record.source
    return (
        record.record_id,
        record.token,
        record.job_id,
        record.redrive_count,
        record.attempt,
        dead.kind,
        dead.message,
        record.key,
        record.value,
        encode_headers(record.headers),
        source.topic,
        source.partition,
        source.offset,
        storable_ms(source.timestamp_ms),
    )


def _columns(rows: Iterable[tuple[object, ...]]) -> Columns:
    return tuple(list(column) for column in zip(*rows, strict=True))
