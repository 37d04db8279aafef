"""What a replay is asked for, and what becomes of a record of the log. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from consumers.engine.record import Record
from consumers.engine.verdict import StoredRow
from producer_api.redrive.copies import Copy
from topics import headers as names
from topics.headers import hop_headers, read_headers

LARGEST_OFFSET: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """Which records: since a moment (milliseconds since 1970), from these offsets, of a job, of these tokens; all of it.

    `force`: every one is called again, under an id of this run.
    """

    since_ms: int | None = None
    from_offsets: Mapping[int, int] = field(default_factory=dict)
    job: UUID | None = None
    tokens: frozenset[str] | None = None
    force: bool = False
    rate: float | None = None

    def wants(self, record: Record) -> bool:
        """Whether a record of the range is meant."""
        if self.force and record.token is None:
            return False  # there is nothing to call for
        if self.tokens is not None and record.token not in self.tokens:
            return False
        return self.job is None or str(record.job_id) == str(self.job)

    def to_json(self) -> str:
        """Write what is asked for, and only that, as the audit row keeps it."""
        asked: dict[str, Any] = {
            "since_ms": self.since_ms,
            "from_offsets": {str(partition): offset for partition, offset in self.from_offsets.items()},
            "job": None if self.job is None else str(self.job),
            "tokens": None if self.tokens is None else len(self.tokens),
            "force": self.force,
        }
        return msgspec.json.encode({name: value for name, value in asked.items() if value}).decode()


class Fate(Enum):
    """What a replay does with a record below the committed offset."""

    MISSING = "without a row"  # produced under its own id
    AGAIN = "failed, or retrying with no copy to come"  # produced as a redrive, once no copy is seen to come
    DONE = "stored"  # nothing


def fate(row: StoredRow | None) -> Fate:
    """Decide by the stored row; None = there is none."""
    if row is None:
        return Fate.MISSING
    return Fate.AGAIN if row.outcome in {"dead_lettered", "retrying"} else Fate.DONE


def read_from_offset(text: str) -> tuple[int, int]:
    """Read PARTITION:OFFSET.

    Raises:
        ValueError: it is no such pair.

    """
    partition, colon, offset = text.partition(":")
    if not (colon and partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
        msg = f"{text!r} is no place in the topic: write PARTITION:OFFSET, as in 3:1200"
        raise ValueError(msg)
    if int(partition) >= 2**31 or int(offset) > LARGEST_OFFSET:
        msg = f"{text!r} is no place in the topic: the numbers are too large"
        raise ValueError(msg)
    return int(partition), int(offset)


def root_id(record: Record) -> UUID:
    """Name the record that this one is a copy of: itself, where it was not replayed by force."""
    origin = read_headers(record.headers).get(names.REPLAY_OF)
    try:
        return UUID(origin) if origin else UUID(str(record.record_id))
    except ValueError:
        return UUID(str(record.record_id))


def copy_of_record(record: Record, *, redrive_count: int = 0) -> Copy:
    """Make the copy of a record under its own id: bytes and foreign headers as they came, ours anew."""
    return _copy(record, UUID(str(record.record_id)), redrive_count, read_headers(record.headers).get(names.REPLAY_OF))


def forced_copy(record: Record, run: UUID) -> Copy:
    """Make the copy of a record that is called again whatever is stored; the same id in each part of one run."""
    root = root_id(record)
    return _copy(record, uuid5(run, str(root)), 0, str(root))


def _copy(record: Record, record_id: UUID, redrive_count: int, replay_of: str | None) -> Copy:
    read = read_headers(record.headers)
    ours = {
        names.RECORD_ID: str(record_id),
        names.JOB_ID: None if record.job_id is None else str(record.job_id),
        names.REDRIVE_COUNT: str(redrive_count),
        names.REPLAY_OF: replay_of,
        names.FIRST_FAILED_AT: read.get(names.FIRST_FAILED_AT) if redrive_count else None,
        names.TRACEPARENT: read.get(names.TRACEPARENT),
    }
    return Copy(record_id, record.partition, record.key, record.value, hop_headers(record.headers, ours))
