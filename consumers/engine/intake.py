"""From a polled ConsumerRecord to a Record of the engine. Pure; total: whatever the bytes are, a Record comes out.

On `tokens` the headers `attempt`, `error-*` and `source-*` of outside producers are ignored; `record-id`, `job-id` and
`redrive-count` are read, the latter believed only as far as the stored row confirms it (see verdict). On a retry topic all
of them are ours. A malformed record is known by its derived id, unless it was redriven: then by its own, if its row says so.
"""

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from asyncpg.pgproto.pgproto import UUID

from consumers.engine.record import Origin, Record
from consumers.engine.window import PartitionWindow
from topics import headers as names
from topics.catalogue import retry_delay_seconds
from topics.headers import RawHeaders, read_headers
from topics.identity import derived_record_id
from topics.record import MalformedValueError, decode_value

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_NUMBER = re.compile(r"[0-9]{1,18}")  # fits into 64 bits
_LAST_PARTITION = 2**31 - 1


class PolledRecord(Protocol):
    """What the engine reads of aiokafka's ConsumerRecord."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - Kafka's own words
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def timestamp_type(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> RawHeaders: ...  # noqa: D102


Intake = Callable[[PolledRecord, PartitionWindow], Record]


def make_intake(token_pattern: re.Pattern[str] | None) -> Intake:
    """Build the intake for a TOKEN_PATTERN (None = any 1-256 printable characters)."""

    def intake(polled: PolledRecord, window: PartitionWindow) -> Record:
        header = read_headers(polled.headers)
        record = _unread(polled, window, header)
        try:
            decoded = decode_value(polled.value, token_pattern)
        except MalformedValueError as error:
            record.complaint = str(error)
            own = _uuid(header.get(names.RECORD_ID)) if record.redrive_count > 0 else None
            record.record_id = own or derived_id(record)
            record.needs_mark = own is not None
        else:
            record.token, record.extra = decoded.token, decoded.extra
            record.record_id = _uuid(header.get(names.RECORD_ID)) or derived_id(record)
        return record

    return intake


def unread(polled: PolledRecord, window: PartitionWindow) -> Record:
    """Take a record in without a look at its value; id and token are the caller's to set."""
    return _unread(polled, window, read_headers(polled.headers))


def _unread(polled: PolledRecord, window: PartitionWindow, header: Mapping[str, str]) -> Record:
    record = Record(
        window,
        polled.topic,
        polled.partition,
        polled.offset,
        polled.timestamp,
        polled.key,
        polled.value,
        polled.headers,
        record_id=None,  # type: ignore[arg-type]  # set by the caller, on every path
        token=None,
        redrive_count=_count(header.get(names.REDRIVE_COUNT)),
        job_id=_uuid(header.get(names.JOB_ID)),
        size_bytes=size_of(polled),
    )
    if delay_seconds := retry_delay_seconds(polled.topic):
        _as_retry_copy(record, header, delay_seconds)
    return record


def _as_retry_copy(record: Record, header: Mapping[str, str], delay_seconds: int) -> None:
    """Read what our own produce said of the copy. Where somebody else produced it, it is its own origin, tried first."""
    record.due_ms = max(1, record.timestamp_ms + delay_seconds * 1000)
    record.attempt = _count(header.get(names.ATTEMPT)) or 1
    record.first_failed_at = header.get(names.FIRST_FAILED_AT)
    record.origin = _origin(header) or Origin(record.topic, record.partition, record.offset, record.timestamp_ms)


def _origin(header: Mapping[str, str]) -> Origin | None:
    """Read the coordinates of the first record; None where they are not all there, or could be no coordinates."""
    topic = header.get(names.SOURCE_TOPIC, "")
    said = [header.get(name, "") for name in (names.SOURCE_PARTITION, names.SOURCE_OFFSET, names.SOURCE_TIMESTAMP)]
    if not _TOPIC.fullmatch(topic) or not all(_NUMBER.fullmatch(text) for text in said):
        return None
    partition, offset, timestamp_ms = map(int, said)
    return Origin(topic, partition, offset, timestamp_ms) if partition <= _LAST_PARTITION else None


def size_of(polled: PolledRecord) -> int:
    """Count the bytes of a record as it came: key, value, headers."""
    size = len(polled.value or b"") + len(polled.key or b"")
    for name, value in polled.headers:
        size += len(name) + len(value or b"")
    return size


def derived_id(record: Record) -> UUID:
    """Id of a record that has none of its own, or whose own belongs to another token.

    Anybody may send the id that another record derives; that one goes on to the next derived id, the same at each reading.
    """
    derived = derived_record_id(record.topic, record.partition, record.offset, record.timestamp_ms)
    for _ in range(1, record.derivations):
        derived = derived_record_id(derived, record.partition, record.offset, record.timestamp_ms)
    return UUID(derived)


def next_derived_id(record: Record) -> UUID:
    """Name the id that a record goes on under when its present one turned out to be another token's. Counts the step."""
    record.derivations += 1
    return derived_id(record)


def _uuid(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def _count(text: str | None) -> int:
    """Read a small count; anything else reads as 0."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > len("999999"):
        return 0
    return int(text)
