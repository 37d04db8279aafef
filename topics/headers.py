"""Names of the record headers, and how to read them. Pure.

Values are UTF-8 text, readable in any console consumer. A hop replaces headers, never appends; where a foreign producer sent
a name twice, the last one counts. Header bytes that are not UTF-8 read as absent: a header can never stop a record.
"""

from collections.abc import Mapping, Sequence
from typing import Final

RECORD_ID: Final = "record-id"
JOB_ID: Final = "job-id"
ATTEMPT: Final = "attempt"
NOT_BEFORE: Final = "not-before"
FIRST_FAILED_AT: Final = "first-failed-at"
ERROR_KIND: Final = "error-kind"
ERROR_MESSAGE: Final = "error-message"
SOURCE_TOPIC: Final = "source-topic"
SOURCE_PARTITION: Final = "source-partition"
SOURCE_OFFSET: Final = "source-offset"
SOURCE_TIMESTAMP: Final = "source-timestamp"
REDRIVE_COUNT: Final = "redrive-count"
REPLAY_OF: Final = "replay-of"
TRACEPARENT: Final = "traceparent"

OURS: Final = frozenset({
    RECORD_ID, JOB_ID, ATTEMPT, NOT_BEFORE, FIRST_FAILED_AT, ERROR_KIND, ERROR_MESSAGE, SOURCE_TOPIC, SOURCE_PARTITION,
    SOURCE_OFFSET, SOURCE_TIMESTAMP, REDRIVE_COUNT, REPLAY_OF, TRACEPARENT,
})  # fmt: skip

CONNECT_PREFIX: Final = "__connect.errors."
"""Kafka Connect's names for its dead letters (DeadLetterQueueReporter, Kafka 4.3): viewers of dead letters know them."""

RawHeaders = Sequence[tuple[str, bytes | None]]


def read_headers(raw: RawHeaders) -> dict[str, str]:
    """Map header names to their text, the last of each name."""
    read: dict[str, str] = {}
    for name, value in raw:
        if value is None:
            continue
        try:
            read[name] = value.decode()
        except UnicodeDecodeError:
            continue
    return read


def hop_headers(original: RawHeaders, ours: Mapping[str, str | None]) -> list[tuple[str, bytes | None]]:
    """Headers of a record's next hop: ours anew (None = absent), then the foreign ones as they came, order and bytes kept.

    Replaced, not appended, so a record's headers do not grow from hop to hop.
    """
    replaced = [(name, value.encode("utf-8", "backslashreplace")) for name, value in ours.items() if value is not None]
    foreign = [(name, value) for name, value in original if name not in OURS and not name.startswith(CONNECT_PREFIX)]
    return [*replaced, *foreign]


def connect_headers(
    *, topic: str, partition: int, offset: int, exception_class: str, exception_message: str
) -> dict[str, str | None]:
    """Say the same under Kafka Connect's names; coordinates are those of the record as it came in."""
    return {
        f"{CONNECT_PREFIX}topic": topic,
        f"{CONNECT_PREFIX}partition": str(partition),
        f"{CONNECT_PREFIX}offset": str(offset),
        f"{CONNECT_PREFIX}exception.class.name": exception_class,
        f"{CONNECT_PREFIX}exception.message": exception_message,
    }
