"""The operator's side of gates, for the API and the command line alike: what is closed, and orders to the workers.

Workers report and carry out once a second (consumers/gate_board.py). The database is reached through `Fetch`, by whoever
asks: this module has no connection, and no errors of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

SQL: Final = Path(__file__).parent / "sql"
LIST_CLOSED_GATES: Final = (SQL / "list_closed_gates.sql").read_text()
LIST_LIVE_WORKERS: Final = (SQL / "list_live_workers.sql").read_text()
INSERT_GATE_ORDER: Final = (SQL / "insert_gate_order.sql").read_text()

APPLIED_SECONDS: Final = 5.0
"""How long the workers are waited for; each carries an order out within 2 s."""
POLL_SECONDS: Final = 0.2
PROVIDER: Final = "default"
"""Name of the one provider that there is."""
OPERATOR: Final = "operator"
"""The gate that an operator closes."""

Gate = Literal["operator", "misconfigured", "rate_limited", "breaker", "dlq_flood"]
Action = Literal["open", "close"]
Fetch: TypeAlias = Callable[..., Awaitable[Sequence[Any]]]
"""Statement and arguments -> rows by column name. Raises what its owner wants to be raised."""


@dataclass(frozen=True, slots=True)
class ClosedGate:
    """A gate that holds calls back: in these workers (none: in those that start); `who` closed it, None = it did itself."""

    provider: str
    gate: str
    workers: tuple[str, ...]
    why: str
    who: str | None
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Order:
    """What is ordered. `gate` None: every gate of the provider that is closed."""

    action: Action
    gate: str | None
    why: str
    who: str
    provider: str = PROVIDER


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an order: the gates that it went out for (none: nothing was closed), and the workers by name."""

    action: Action
    provider: str
    gates: tuple[str, ...]
    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


async def list_closed_gates(fetch: Fetch) -> list[ClosedGate]:
    """Read which gates are closed, in the order of provider and name."""
    rows = await fetch(LIST_CLOSED_GATES)
    return [ClosedGate(**{**dict(row), "workers": tuple(row["workers"])}) for row in rows]


async def carry_out(fetch: Fetch, order: Order) -> Done:
    """Give the order, and wait up to APPLIED_SECONDS until every live worker has carried it out.

    Opening what is not closed orders nothing.
    """
    gates = (OPERATOR,) if order.action == "close" else await _to_open(fetch, order)
    if not gates:
        return Done(order.action, order.provider, gates)
    newest = 0
    for gate in gates:
        words = (storable(order.why), storable(order.who))
        newest = (await fetch(INSERT_GATE_ORDER, order.provider, gate, order.action, *words))[0]["id"]
    end = asyncio.get_running_loop().time() + APPLIED_SECONDS
    while True:
        live = [(row["worker"], row["applied_order"]) for row in await fetch(LIST_LIVE_WORKERS, order.provider)]
        waiting = tuple(worker for worker, applied in live if applied < newest)
        if not waiting or asyncio.get_running_loop().time() > end:
            applied = tuple(worker for worker, _ in live if worker not in waiting)
            return Done(order.action, order.provider, gates, applied, waiting)
        await asyncio.sleep(POLL_SECONDS)


def storable(text: str) -> str:
    r"""Escape every character that does not print, as Python does: PostgreSQL takes no NUL, a terminal no escape. Pure."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


async def _to_open(fetch: Fetch, order: Order) -> tuple[str, ...]:
    closed = [each.gate for each in await list_closed_gates(fetch) if each.provider == order.provider]
    return tuple(each for each in closed if order.gate in {None, each})
