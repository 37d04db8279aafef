"""Where operators and gates meet: once a second, carry out what was ordered and report which gates are closed.

Owner: the worker, which asks `prepare` before it joins (a gate that an operator closed is closed before the first call),
runs the board while it is a member, and stops it when it has left. The database may be away: gates are as they are then,
and what was ordered meanwhile is carried out when it is back.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from consumers.engine.engine import Engine
from consumers.engine.gates import GateName
from consumers.engine.tasks import TaskSet
from consumers.errors import StoreUnavailableError, clean_message

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""An order is carried out within this and two statements: within 2 s."""
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class GateOrder:
    """What an operator ordered; ids grow."""

    id: int
    gate: str
    action: str
    why: str
    who: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a gate stands by its last order: `closed_why` is None where it is open; `newest`: the last id of all orders."""

    newest: int
    closed_why: str | None


@dataclass(frozen=True, slots=True)
class GateReport:
    """A closed gate; times are seconds from now, `opens_in_seconds` None = not before somebody or a probe opens it."""

    gate: str
    why: str
    closed_seconds: float
    opens_in_seconds: float | None


class GateTables(Protocol):
    """Where orders come from and reports go. Everything raises StoreUnavailableError."""

    async def standing(self, gate: str) -> Standing: ...  # noqa: D102 - consumers/store/gates.py
    async def orders(self, *, after: int) -> list[GateOrder]: ...  # noqa: D102
    async def report(self, closed: Sequence[GateReport], *, applied: int) -> None: ...  # noqa: D102
    async def withdraw(self) -> None: ...  # noqa: D102


class GateBoard:
    """Between the tables and the engine's gates. `_applied` is changed by `prepare`, then by the task of `start` alone."""

    def __init__(self, engine: Engine, tables: GateTables) -> None:
        self._engine = engine
        self._tables = tables
        self._tasks = TaskSet(on_failure=engine.fail)
        self._applied = 0
        self._away = False

    async def prepare(self) -> None:
        """Close the gate that an operator closed and nobody opened since; what was ordered before that is over.

        Raises:
            StoreUnavailableError: the database does not tell; no call may start without knowing.

        """
        standing = await self._tables.standing(GateName.OPERATOR)
        self._applied = standing.newest
        if standing.closed_why is not None:
            self._engine.close_gate(GateName.OPERATOR, standing.closed_why)

    def start(self) -> None:
        """Begin to carry out orders and to report."""
        self._tasks.spawn(self._run())

    async def stop(self) -> None:
        """End, and take back what was reported: this worker holds nothing back any more. Never raises an outage."""
        await self._tasks.cancel(timeout_seconds=STOP_SECONDS)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._tables.withdraw()
        except (StoreUnavailableError, TimeoutError) as error:
            log.warning("the reports of closed gates stay for a moment, the database does not answer: %s", error)

    async def tick(self) -> None:
        """Carry out new orders, then report. Raises StoreUnavailableError."""
        for order in await self._tables.orders(after=self._applied):
            self._carry_out(order)
            self._applied = order.id
        await self._tables.report(reports(self._engine), applied=self._applied)

    async def _run(self) -> None:
        while True:
            try:
                await self.tick()
            except StoreUnavailableError as error:
                if not self._away:
                    log.warning("orders for gates wait for the database: %s", error)
                self._away = True
            else:
                self._away = False
            await asyncio.sleep(TICK_SECONDS)

    def _carry_out(self, order: GateOrder) -> None:
        log.warning("order %d of %s: %s gate %s (%s)", order.id, order.who, order.action, order.gate, order.why)
        if order.gate not in set(GateName):
            log.error("there is no gate %r: order %d means nothing to this version", order.gate, order.id)
        elif order.action == "close":
            self._engine.close_gate(GateName(order.gate), order.why)
        else:
            self._engine.open_gate(GateName(order.gate))


def reports(engine: Engine) -> list[GateReport]:
    """Describe the closed gates; every text is storable."""
    now = engine.state.clock()
    return [
        GateReport(
            gate.name, clean_message(gate.why), now - gate.since, None if gate.until is None else max(0.0, gate.until - now)
        )
        for gate in engine.closed_gates()
    ]


def describe_gates(engine: Engine) -> list[dict[str, object]]:
    """Describe the closed gates for `/status`: as `reports`, to a tenth of a second."""
    return [
        {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(report).items()}
        for report in reports(engine)
    ]
