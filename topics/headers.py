"""Names of the record headers, and how to read them. Pure.

Values are UTF-8 text, readable in any console consumer. A hop replaces headers, never appends; where a foreign producer sent
a name twice, the last one counts. Header bytes that are not UTF-8 read as absent: a header can never stop a record.
"""

from collections.abc import Sequence
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
