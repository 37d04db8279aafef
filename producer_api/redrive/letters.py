"""Dead letters as they are read: pages, one with its bytes, groups of the same error."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from producer_api.gate_orders import Fetch
from producer_api.redrive.copies import decode_headers
from producer_api.redrive.filters import Filter
from producer_api.redrive.statements import sql

State = Literal["open", "redriving", "redriven"]
EXPORT_PAGE: Final = 32
"""Rows in memory at a time while exporting: 32 MiB of the largest records."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of `dead_letters`; the times are of the broker (source_timestamp) and of the database, in UTC."""

    record_id: UUID
    token: str | None
    job_id: UUID | None
    redrive_count: int
    attempt: int
    error_kind: str
    error_message: str
    source_topic: str
    source_partition: int
    source_offset: int
    source_timestamp: datetime
    dead_lettered_at: datetime
    state: str = "open"


@dataclass(frozen=True, slots=True)
class Original:
    """The record as it came in: its bytes, and its headers in their order, repeats included."""

    key: bytes | None
    payload: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Open dead letters of one error, numbers and ids in the message left out."""

    error_kind: str
    error_group: str
    letters: int
    first: datetime
    last: datetime
    last_5_minutes: int
    before_5_minutes: int
    last_hour: int
    before_hour: int
    example: UUID


@dataclass(frozen=True, slots=True)
class Stats:
    """What there is: how many of each state, and the open ones by error, the most frequent first."""

    states: Mapping[str, int]
    groups: Sequence[ErrorGroup]


async def list_letters(
    fetch: Fetch, wanted: Filter, *, state: State | None, limit: int, behind: tuple[datetime, UUID] | None = None
) -> list[DeadLetter]:
    """Read a page of dead letters, newest first, at most `limit`; those that follow `behind`."""
    rows = await fetch(sql("list_page"), *wanted.arguments(), state, *(behind or (None, None)), limit)
    return [DeadLetter(**dict(row)) for row in rows]


async def read_letter(fetch: Fetch, record_id: UUID) -> tuple[DeadLetter, Original] | None:
    """Read one dead letter with its bytes; None if there is none under this id."""
    for row in await fetch(sql("select_letter"), record_id):
        return _whole(row)
    return None


async def read_stats(fetch: Fetch, wanted: Filter) -> Stats:
    """Count the dead letters that match, by state and by error."""
    states = {row["state"]: row["letters"] for row in await fetch(sql("count_states"), *wanted.arguments())}
    rows = await fetch(sql("count_groups"), *wanted.arguments())
    return Stats(states, [ErrorGroup(**dict(row)) for row in rows])


async def all_letters(fetch: Fetch, wanted: Filter) -> AsyncIterator[tuple[DeadLetter, Original]]:
    """Read every open dead letter that matches, oldest first, a page at a time; those that come meanwhile included."""
    behind: tuple[datetime, UUID] | tuple[None, None] = (None, None)
    while rows := await fetch(sql("export_page"), *wanted.arguments(), *behind, EXPORT_PAGE):
        for row in rows:
            yield _whole(row)
        behind = (rows[-1]["dead_lettered_at"], rows[-1]["record_id"])


def exported(letter: DeadLetter, original: Original) -> dict[str, Any]:
    """Arrange one for export: bytes as base64, and as text beside it where they are UTF-8. Pure."""
    return {
        **{name: getattr(letter, name) for name in DeadLetter.__dataclass_fields__},
        "key_base64": encoded(original.key),
        "key_text": decoded(original.key),
        "payload_base64": encoded(original.payload),
        "payload_text": decoded(original.payload),
        "headers": [[name, encoded(value)] for name, value in original.headers],
    }


def encoded(value: bytes | None) -> str | None:
    """Write bytes as base64."""
    return None if value is None else base64.b64encode(value).decode()


def decoded(value: bytes | None) -> str | None:
    """Read bytes as UTF-8; None where they are none."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _whole(row: Mapping[str, Any]) -> tuple[DeadLetter, Original]:
    fields = dict(row)
    original = Original(fields.pop("key"), fields.pop("payload"), decode_headers(fields.pop("headers")))
    return DeadLetter(**fields), original
