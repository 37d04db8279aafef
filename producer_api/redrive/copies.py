"""From a kept dead letter to the record that is produced again: its bytes as they came, and our headers anew. Pure."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from topics import headers as names
from topics.headers import hop_headers, read_headers

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Copy:
    """What goes to `tokens`: explicitly to `partition` mod the topic's count, where the record's earlier copies were."""

    record_id: UUID
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def copy_of(row: Mapping[str, Any], redrive_count: int) -> Copy:
    """Make the copy of a row of `dead_letters` (with all that select_copies.sql reads).

    `attempt`, the error and the coordinates of the earlier copy stay behind: this is a first attempt, and where the record
    lies from now on is where this copy lies.
    """
    kept = decode_headers(row["headers"])
    read = read_headers(kept)
    ours = {
        names.RECORD_ID: str(row["record_id"]),
        names.JOB_ID: None if row["job_id"] is None else str(row["job_id"]),
        names.REDRIVE_COUNT: str(redrive_count),
        names.REPLAY_OF: read.get(names.REPLAY_OF),
        names.FIRST_FAILED_AT: read.get(names.FIRST_FAILED_AT) or row["dead_lettered_at"].isoformat(timespec="milliseconds"),
        names.TRACEPARENT: read.get(names.TRACEPARENT),
    }
    return Copy(row["record_id"], row["source_partition"], row["key"], row["payload"], hop_headers(kept, ours))


def decode_headers(kept: bytes) -> Headers:
    """Read headers as the worker keeps them: a JSON list of [name, base64 of the value or null]."""
    pairs: list[tuple[str, str | None]] = msgspec.json.decode(kept, type=list[tuple[str, str | None]])
    return [(name, None if value is None else base64.b64decode(value)) for name, value in pairs]
