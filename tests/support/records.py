"""Records of the engine, as short as a test needs them."""

from typing import Any

from asyncpg.pgproto.pgproto import UUID

from consumers.engine.record import Record
from consumers.engine.window import PartitionWindow


def make_id(number: int) -> UUID:
    """Make the record id of a number."""
    return UUID(f"{number:032x}")


def make_record(number: int = 1, **changes: Any) -> Record:
    """Make a record with the id and the offset of a number; `changes` are its fields that matter to a test."""
    fields: dict[str, Any] = {
        "window": PartitionWindow(),
        "topic": "tokens",
        "partition": 0,
        "offset": number,
        "timestamp_ms": 1_700_000_000_000,
        "key": None,
        "value": b"t",
        "headers": [],
        "record_id": make_id(number),
        "token": "t",
    }
    return Record(**{**fields, **changes})
