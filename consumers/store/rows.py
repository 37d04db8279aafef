"""From settled records to the columns of the two upserts. Pure.

Columns, not rows: `unnest` takes one array a column (facts: performance, section 3), in the order of the .sql files.
"""

import base64
from collections.abc import Iterable, Sequence

import msgspec

from consumers.engine.record import DeadLettered, Outcome, Retrying, Settled, Succeeded
from topics.headers import RawHeaders

Columns = tuple[list[object], ...]
FIRST_MS = -62_135_596_800_000
LAST_MS = 253_402_300_799_999
"""The years 1 to 9999: what PostgreSQL stores and every reader's date has a place for."""


def in_write_order(settled: Sequence[Settled]) -> list[Settled]:
    """Sort by record id, so that two workers that write the same rows lock them in one order."""
    return sorted(settled, key=lambda one: one.record.record_id.bytes)


def outcome_columns(settled: Sequence[Settled]) -> Columns:
    """Arrange outcomes as the thirteen columns of upsert_outcomes.sql."""
    return _columns(_outcome_row(one) for one in settled)


def dead_letter_columns(settled: Sequence[Settled]) -> Columns:
    """Arrange the dead letters among the outcomes as the fourteen columns of upsert_dead_letters.sql; none = empty."""
    return _columns(_dead_letter_row(one, one.outcome) for one in settled if isinstance(one.outcome, DeadLettered))


def encode_headers(headers: RawHeaders) -> bytes:
    """Keep headers as they came: a JSON list of [name, base64 of the value or null], order and repeats included."""
    return msgspec.json.encode([[name, value and base64.b64encode(value).decode()] for name, value in headers])


def storable_ms(timestamp_ms: int) -> int:
    """Bring a record's timestamp into years that have a date: on a topic with CreateTime any producer sets any number."""
    return min(max(timestamp_ms, FIRST_MS), LAST_MS)


def _outcome_row(settled: Settled) -> tuple[object, ...]:
    record, source = settled.record, settled.record.source
    name, result, kind, message = _outcome(settled.outcome)
    return (
        record.record_id,
        record.token,
        record.job_id,
        name,
        record.attempt,
        record.redrive_count,
        result,
        kind,
        message,
        source.topic,
        source.partition,
        source.offset,
        storable_ms(source.timestamp_ms),
    )


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
