"""Dead letters as an operator reads them, out of the database: the row decides, the topic is the log."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from infra.errors import ExpectedError
from infra.postgres.migrate import Connection, connect, read_sql

PATIENCE_SECONDS: Final = 0.0
"""Who looks at a screen wants the sentence now, not after a wait."""
QUERY_SECONDS: Final = 30.0


class DeadLettersError(ExpectedError):
    """The database has no dead letters to read; the text says what to do."""


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


@dataclass(frozen=True, slots=True)
class Original:
    """The record as it came in: its bytes, and its headers in their order, repeats included."""

    key: bytes | None
    payload: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


async def list_dead_letters(database_url: str, *, kind: str | None, limit: int) -> list[DeadLetter]:
    """Read the newest dead letters, newest first, at most `limit`; of one error kind if given.

    Raises:
        ExpectedError: the database cannot be reached, or has no such table.

    """
    rows = await _fetch(database_url, "list_dead_letters", kind, limit)
    return [DeadLetter(**row) for row in rows]


async def read_dead_letter(database_url: str, record_id: UUID) -> tuple[DeadLetter, Original] | None:
    """Read one dead letter with its bytes; None if there is none under this id.

    Raises:
        ExpectedError: see `list_dead_letters`.

    """
    for row in await _fetch(database_url, "select_dead_letter", record_id):
        fields = dict(row)
        original = Original(fields.pop("key"), fields.pop("payload"), decode_headers(fields.pop("headers")))
        return DeadLetter(**fields), original
    return None


def decode_headers(kept: bytes) -> list[tuple[str, bytes | None]]:
    """Read headers as the worker keeps them: a JSON list of [name, base64 of the value or null]. Pure."""
    pairs: list[tuple[str, str | None]] = msgspec.json.decode(kept, type=list[tuple[str, str | None]])
    return [(name, None if value is None else base64.b64decode(value)) for name, value in pairs]


async def _fetch(database_url: str, statement: str, *arguments: Any) -> Sequence[asyncpg.Record]:
    connection: Connection = await connect(database_url, patience_seconds=PATIENCE_SECONDS)
    try:
        return await connection.fetch(read_sql(statement), *arguments, timeout=QUERY_SECONDS)
    except asyncpg.UndefinedTableError as error:
        raise DeadLettersError("DATABASE_URL has no table dead_letters: run `tokenflow migrate` first.") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise DeadLettersError(f"DATABASE_URL: the database does not answer ({error!r}): try again.") from error
    finally:
        connection.terminate()
