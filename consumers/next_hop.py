"""Headers of a record's next hop: a copy in the retry topic, or a dead letter. Pure; the clock is an argument.

Ours are replaced at each hop, the record's own follow as they came, so trace context, the first failure and the coordinates
of the first record survive however many hops there are.
"""

from datetime import UTC, datetime

from consumers.engine.record import DeadLettered, Record, Retrying
from topics import headers as names
from topics.headers import connect_headers, hop_headers


def dead_letter_headers(
    record: Record, outcome: DeadLettered, *, whole: bool, now: float | None = None
) -> list[tuple[str, bytes | None]]:
    """Headers of a dead letter: ours, Kafka Connect's names for the same, then the record's own. Pure."""
    source = record.source
    connect = connect_headers(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        exception_class=f"tokenflow.{outcome.kind}",
        exception_message=outcome.message,
    )
    ours = _ours(record, outcome, attempt=record.attempt, now=now, traced=whole)
    return hop_headers(record.headers if whole else (), ours | connect)


def retry_headers(record: Record, outcome: Retrying, *, delay_seconds: int, now: float) -> list[tuple[str, bytes | None]]:
    """Headers of a retry copy; `not-before` is for people, the broker's clock decides. Pure."""
    ours = _ours(record, outcome, attempt=record.attempt + 1, now=now, traced=True)
    return hop_headers(record.headers, ours | {names.NOT_BEFORE: _iso(now + delay_seconds)})


def _ours(
    record: Record, outcome: DeadLettered | Retrying, *, attempt: int, now: float | None, traced: bool
) -> dict[str, str | None]:
    source = record.source
    read = names.read_headers(record.headers) if traced else {}
    return {
        names.RECORD_ID: str(record.record_id),
        names.JOB_ID: None if record.job_id is None else str(record.job_id),
        names.ATTEMPT: str(attempt),
        names.FIRST_FAILED_AT: record.first_failed_at or (None if now is None else _iso(now)),
        names.REDRIVE_COUNT: str(record.redrive_count),
        names.REPLAY_OF: read.get(names.REPLAY_OF),
        names.ERROR_KIND: outcome.kind,
        names.ERROR_MESSAGE: outcome.message,
        names.SOURCE_TOPIC: source.topic,
        names.SOURCE_PARTITION: str(source.partition),
        names.SOURCE_OFFSET: str(source.offset),
        names.SOURCE_TIMESTAMP: str(source.timestamp_ms),
        names.TRACEPARENT: read.get(names.TRACEPARENT),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
