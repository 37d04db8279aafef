"""A record on its way through the engine, and what may become of it.

Slotted but not frozen: every token walks through here, and frozen classes are four times dearer to build.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
from asyncpg.pgproto.pgproto import UUID

from consumers.engine.window import PartitionWindow
from topics.headers import RawHeaders


class ErrorKind(StrEnum):
    """Why a record did not succeed; a label of metrics and a column of `outcomes`."""

    MALFORMED = "malformed"
    REJECTED = "rejected"
    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    UNSTORABLE = "unstorable"
    UNEXPECTED = "unexpected"
    SET_ASIDE = "set_aside"  # by an operator, before it was processed; never what came of a call


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a retry copy came in first: its record on `tokens`."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


@dataclass(slots=True, eq=False)
class Record:
    """One polled record; `window` is the one that admitted it: a late settle finds it closed and does nothing."""

    window: PartitionWindow
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: RawHeaders
    record_id: UUID
    token: str | None  # None: malformed, see complaint
    complaint: str | None = None
    extra: dict[str, msgspec.Raw] = field(default_factory=dict)
    attempt: int = 1
    redrive_count: int = 0
    job_id: UUID | None = None
    needs_mark: bool = False  # malformed, and its id is the header's: only if the stored row was redriven
    derivations: int = 0  # how often its id turned out to be another token's
    deferrals: int = 0  # calls in a row that met a rate limit
    due_ms: int = 0  # of a retry copy: when it is due, on the broker's clock; 0 = a fresh record
    origin: Origin | None = None  # of a retry copy
    first_failed_at: str | None = None  # of a retry copy, as its header says
    size_bytes: int = 0  # of key, value and headers

    @property
    def version(self) -> tuple[int, int]:
        """Order of copies of one record: a later redrive, then a later attempt."""
        return (self.redrive_count, self.attempt)

    @property
    def source(self) -> "Origin | Record":
        """Where the record came in first: topic, partition, offset and timestamp_ms."""
        return self.origin or self

    @property
    def coordinates(self) -> str:
        """Where the record lies, for a log line."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(slots=True)
class Succeeded:
    """The provider answered; `result` is the answer, JSON text."""

    result: str


@dataclass(slots=True)
class DeadLettered:
    """The record will not be tried again by itself."""

    kind: ErrorKind
    message: str


@dataclass(slots=True)
class Retrying:
    """The record is tried again, after the delay of the retry topic."""

    kind: ErrorKind
    message: str


Outcome = Succeeded | DeadLettered | Retrying


@dataclass(slots=True)
class Settled:
    """A record with its outcome, on its way to durability."""

    record: Record
    outcome: Outcome
