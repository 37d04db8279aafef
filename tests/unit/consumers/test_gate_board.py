"""Orders reach the engine's gates, each once and none too early, and what is closed is reported."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from consumers import gate_board
from consumers.engine.gates import GateName
from consumers.errors import StoreUnavailableError
from consumers.gate_board import GateBoard, GateOrder, GateReport, Standing, describe_gates, reports
from tests.support.engine_world import SECONDS, World, make_world, running_world
from tests.support.waiting import eventually


@dataclass
class Tables:
    """The tables in memory; `away` as long as the database is."""

    given: list[GateOrder] = field(default_factory=list)
    closed: Sequence[GateReport] | None = None
    applied: int = -1
    reported: int = 0
    away: bool = False
    refused: int = 0

    def order(self, action: str, gate: str, why: str = "") -> None:
        """Give an order."""
        self.given.append(GateOrder(len(self.given) + 1, gate, action, why, "me"))

    def _ask(self) -> None:
        if self.away:
            self.refused += 1
            raise StoreUnavailableError("ConnectionRefusedError")

    async def standing(self, gate: str) -> Standing:
        """As the statement does."""
        self._ask()
        last = [each for each in self.given if each.gate == gate][-1:]
        return Standing(len(self.given), last[0].why if last and last[0].action == "close" else None)

    async def orders(self, *, after: int) -> list[GateOrder]:
        """As the statement does."""
        self._ask()
        return [each for each in self.given if each.id > after]

    async def report(self, closed: Sequence[GateReport], *, applied: int) -> None:
        """Keep it."""
        self._ask()
        self.closed, self.applied, self.reported = closed, applied, self.reported + 1

    async def withdraw(self) -> None:
        """Forget it."""
        self._ask()
        self.closed = None


def _names(world: World) -> list[str]:
    return [gate.name for gate in world.engine.closed_gates()]


@asynccontextmanager
async def running_board(world: World, tables: Tables) -> AsyncIterator[GateBoard]:
    """A board that looks all the time, until the block ends."""
    board = GateBoard(world.engine, tables)
    await board.prepare()
    board.start()
    try:
        yield board
    finally:
        async with asyncio.timeout(SECONDS):
            await board.stop()


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks that a test can wait for."""
    monkeypatch.setattr(gate_board, "TICK_SECONDS", 0.005)


async def test_a_gate_that_an_operator_closed_is_closed_before_the_first_call() -> None:
    """`prepare` closes it, before the engine has partitions; other old orders are over."""
    world, tables = make_world(), Tables()
    tables.order("close", "operator", "first")
    tables.order("close", "operator", "second")
    tables.order("open", "breaker")
    board = GateBoard(world.engine, tables)
    await board.prepare()
    assert [(gate.name, gate.why) for gate in world.engine.closed_gates()] == [(GateName.OPERATOR, "second")]
    await board.tick()
    assert tables.applied == 3
    assert [report.gate for report in tables.closed or ()] == ["operator"]
    await world.engine.stop()


async def test_a_gate_that_was_opened_again_stays_open() -> None:
    """Of the orders before the start only the last one counts."""
    world, tables = make_world(), Tables()
    tables.order("close", "operator", "night")
    tables.order("open", "operator")
    await GateBoard(world.engine, tables).prepare()
    assert _names(world) == []
    await world.engine.stop()


async def test_no_call_starts_without_knowing() -> None:
    """The database is away at the start: that is told, not taken for an open gate."""
    world = make_world()
    with pytest.raises(StoreUnavailableError):
        await GateBoard(world.engine, Tables(away=True)).prepare()
    await world.engine.stop()


async def test_orders_stop_and_resume_the_calls_of_a_running_engine() -> None:
    """Closed: ready records are not called. Opened: all are. Each order once, in turn; a gate that is none is skipped."""
    tables = Tables()
    async with running_world() as world, running_board(world, tables):
        tables.order("close", "operator", "maintenance")
        await eventually(lambda: _is(_names(world), ["operator"]), timeout_seconds=SECONDS, interval_seconds=0.002)
        for number in range(3):
            world.source.append(f"t{number}")
        await world.until(ready=3)
        assert world.provider.calls == []
        tables.order("open", "front door")
        tables.order("open", "operator")
        await world.until(rows=3, unsettled=0)
        await eventually(lambda: _is((tables.applied, list(tables.closed or ())), (3, [])), timeout_seconds=SECONDS)
        world.engine.close_gate(GateName.OPERATOR, "by somebody else")
        seen = tables.reported
        await eventually(lambda: _is(tables.reported > seen + 2, True), timeout_seconds=SECONDS)
        assert _names(world) == ["operator"], "the order to open is not carried out again"
    assert tables.closed is None, "a worker that stopped holds nothing back"


async def test_an_outage_of_the_database_is_told_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What was ordered meanwhile is carried out afterwards, and a second outage is told again."""
    tables = Tables()
    async with running_world() as world, running_board(world, tables):
        with caplog.at_level(logging.WARNING, logger=gate_board.__name__):
            for number in (1, 2):
                await _outage(tables)
                assert _complaints(caplog) == number
                tables.order("close", "operator", f"night {number}")
                tables.away = False
                await eventually(partial(_is_applied, tables, number), timeout_seconds=SECONDS)
        assert not world.engine.failure.done()
        tables.away = True


async def test_what_is_reported_can_be_stored_and_counts_from_now() -> None:
    """A NUL in a provider's words, and a gate with a time."""
    world = make_world()
    world.engine.close_gate(GateName.OPERATOR, "a\0b")
    world.engine.gates.limit_rate(30, now=world.engine.state.clock())
    operator, limit = reports(world.engine)
    assert (operator.why, operator.opens_in_seconds) == ("a\\0b", None)
    assert 0 <= operator.closed_seconds < SECONDS
    assert limit.opens_in_seconds == pytest.approx(30, abs=1)
    assert describe_gates(world.engine)[1]["gate"] == "rate_limited"
    await world.engine.stop()


async def _outage(tables: Tables) -> None:
    """Let the database be away, for some ticks at least."""
    tables.away, before = True, tables.refused
    await eventually(lambda: _is(tables.refused >= before + 3, True), timeout_seconds=SECONDS)


def _is_applied(tables: Tables, number: int) -> None:
    assert tables.applied == number


def _complaints(caplog: pytest.LogCaptureFixture) -> int:
    return sum("wait for the database" in record.message for record in caplog.records)


def _is(found: object, expected: object) -> None:
    assert found == expected
