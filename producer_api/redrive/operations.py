"""Operations as they are kept: order, progress and audit row in one. The database is reached through `Fetch`."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import msgspec

from producer_api.gate_orders import Fetch, storable
from producer_api.redrive.filters import Filter, read_filter
from producer_api.redrive.statements import sql

Action = Literal["redrive", "drop"]
MAX_REDRIVES: Final = 3
"""Of one record, unless an operator says otherwise: what failed so often fails for its own reason."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of `operations`. `produced`: taken and acknowledged (of a drop: deleted); at most the batch in hand ahead.

    `held`: somebody runs it now; a running operation that nobody holds is taken over within seconds, where an API runs.
    """

    id: UUID
    action: str
    filter: str
    who: str
    at: datetime
    rate: float | None
    max_redrives: int | None
    status: str
    selected: int
    produced: int
    refused: int
    note: str
    holder: str
    ended_at: datetime | None
    held: bool = True

    @property
    def wanted(self) -> Filter:
        """What it was asked for."""
        return read_filter(self.filter)


@dataclass(frozen=True, slots=True)
class Group:
    """What an operation would do to the dead letters of one error."""

    error_kind: str
    error_group: str
    selected: int
    refused: int


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator orders."""

    action: Action
    wanted: Filter
    who: str
    rate: float | None = None
    max_redrives: int | None = None


def new_holder() -> str:
    """Name a run of an operation; no other has the same name."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


async def dry_run(fetch: Fetch, order: Order) -> list[Group]:
    """Count what the order would take, by error, the most frequent first."""
    rows = await fetch(sql("count_dead_letters"), *order.wanted.arguments(), order.max_redrives)
    return [Group(**dict(row)) for row in rows]


async def begin(fetch: Fetch, order: Order, *, groups: Sequence[Group], holder: str) -> Operation:
    """Write the audit row; `holder` has the lease."""
    rows = await fetch(
        sql("insert_operation"),
        order.action,
        order.wanted.to_json(),
        storable(order.who),
        order.rate,
        order.max_redrives,
        sum(group.selected for group in groups),
        sum(group.refused for group in groups),
        holder,
    )
    return operation_of(rows[0])


async def find(fetch: Fetch, operation_id: UUID) -> Operation | None:
    """Read one operation."""
    rows = await fetch(sql("select_operation"), operation_id)
    return operation_of(rows[0]) if rows else None


async def list_operations(fetch: Fetch, *, behind: UUID | None, limit: int) -> list[Operation]:
    """Read the newest operations, newest first."""
    return [operation_of(row) for row in await fetch(sql("list_operations"), behind, limit)]


async def stop(fetch: Fetch, operation_id: UUID, *, who: str) -> bool:
    """Stop a running operation; False: it does not run. Its holder ends after the batch in hand."""
    return bool(await fetch(sql("stop_operation"), operation_id, storable(f"stopped by {who}")))


async def resume(fetch: Fetch, operation_id: UUID, *, holder: str) -> Operation | None:
    """Take an operation that was stopped, or whose holder is gone; None: another runs it, or it is done."""
    rows = await fetch(sql("resume_operation"), operation_id, holder)
    return operation_of(rows[0]) if rows else None


async def take_over(fetch: Fetch, *, holder: str) -> Operation | None:
    """Take the lease of one operation whose holder is gone; None: there is none."""
    rows = await fetch(sql("take_over_operation"), holder)
    return operation_of(rows[0]) if rows else None


def operation_of(row: Mapping[str, Any]) -> Operation:
    """Make an operation of a row."""
    return Operation(**{name: row[name] for name in Operation.__dataclass_fields__ if name in row.keys()})  # noqa: SIM118


def filter_text(text: str) -> str:
    """Write a filter as a sentence's part: `kind=rejected, since=...`; "every dead letter" where nothing is asked for."""
    asked = msgspec.json.decode(text)
    if "records" in asked:
        asked["records"] = f"{len(asked['records'])} named"
    return ", ".join(f"{name}={value}" for name, value in asked.items()) or "every dead letter"
