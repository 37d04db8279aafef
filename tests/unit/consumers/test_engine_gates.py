"""What gates do to records: an outage burns no attempts, a rate limit none, and nothing floods the DLQ."""

import pytest

from consumers.engine import breaker
from consumers.engine.gates import GateName
from consumers.engine.record import DeadLettered, ErrorKind, Succeeded
from consumers.errors import MisconfiguredError, RateLimitedError, RejectedError, ServerError, UnavailableError
from tests.support.engine_world import SECONDS, World, running_world, turn_loop
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes that a test can wait for."""
    monkeypatch.setattr(breaker, "BREAKER_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(breaker, "FLOOD_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(breaker, "FLOOD_RECORDS", 20)


def _send(world: World, count: int) -> None:
    for number in range(count):
        world.source.append(f"t{number}")


def _closed(world: World) -> list[GateName]:
    return [gate.name for gate in world.engine.closed_gates()]


async def _until_closed(world: World, name: GateName) -> None:
    """Wait until this gate is closed and no call runs."""

    def is_closed() -> None:
        assert _closed(world) == [name]
        assert world.engine.counts()["calling"] == 0

    await eventually(is_closed, timeout_seconds=SECONDS, interval_seconds=0.002)


async def _until_calls(world: World, count: int) -> None:
    def enough() -> None:
        assert len(world.provider.calls) >= count

    await eventually(enough, timeout_seconds=SECONDS, interval_seconds=0.002)


@pytest.mark.parametrize("error", [UnavailableError("refused"), ServerError("HTTP 500"), TimeoutError()])
async def test_an_outage_costs_nineteen_attempts_and_no_dead_letter(error: Exception) -> None:
    """The provider fails for all: calls stop but for probes; when it is back, all that was not parked is answered."""
    async with running_world(slots=50, max_retries=3) as world:
        world.provider.down = error
        _send(world, 200)
        await _until_closed(world, GateName.BREAKER)
        await _until_calls(world, len(world.provider.calls) + 3)
        await world.until(rows=19)
        world.provider.down = None
        await world.until(rows=200, unsettled=0)
        ends = [held.row.outcome for held in world.store.rows.values()]
        assert (ends.count("retrying"), ends.count("succeeded")) == (19, 181)
        assert _closed(world) == []
        world.sound()


async def test_polling_stops_behind_a_closed_gate() -> None:
    """The poll that ran comes to its end, and no other follows: the lag is seen."""
    async with running_world(slots=1_000, max_retries=3) as world:
        world.engine.close_gate(GateName.OPERATOR, "maintenance")
        _send(world, 1_500)
        await world.until(ready=500)
        await turn_loop()
        assert (sum(world.source.polls), world.provider.calls) == (500, [])
        world.engine.open_gate(GateName.OPERATOR)
        await world.until(rows=1_500, unsettled=0)
        world.sound()


async def test_slots_behind_a_closed_gate_are_gated_not_idle() -> None:
    """Ten slots, four ready records: four gated, six idle; the three states add up."""
    async with running_world(slots=10) as world:
        world.engine.close_gate(GateName.OPERATOR, "maintenance")
        _send(world, 4)
        await world.until(ready=4)
        before = world.engine.slot_seconds()
        started = world.engine.state.clock()
        while world.engine.state.clock() < started + 0.05:
            pass
        after = world.engine.slot_seconds()
        gained = {state: after[state] - before[state] for state in after}
        assert gained["gated"] / sum(gained.values()) == pytest.approx(0.4)
        world.engine.open_gate(GateName.OPERATOR)
        await world.until(rows=4, unsettled=0)
        assert world.engine.slot_seconds()["gated"] == pytest.approx(after["gated"], rel=0.5)


async def test_a_rate_limit_spends_no_attempt() -> None:
    """The first calls are told to wait: they stay ready, and are answered afterwards on their first attempt."""
    async with running_world(slots=5, max_retries=0) as world:
        world.provider.down = RateLimitedError("HTTP 429", retry_after_seconds=0.3)
        _send(world, 30)
        await _until_closed(world, GateName.RATE_LIMITED)
        world.provider.down = None
        await world.until(rows=30, unsettled=0)
        assert {(held.row.outcome, held.row.attempt) for held in world.store.rows.values()} == {("succeeded", 1)}
        world.sound()


async def test_the_tenth_rate_limit_in_a_row_is_a_failure() -> None:
    """One record that is never let through does not go round for ever."""
    async with running_world(slots=1, max_retries=0) as world:
        world.provider.errors["a"] = RateLimitedError("HTTP 429", retry_after_seconds=0.01)
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert len(world.provider.calls) == 10
        assert world.store.result("a") == DeadLettered(ErrorKind.RATE_LIMITED, "HTTP 429")
        world.sound()


async def test_refused_credentials_stop_every_call_until_somebody_opens() -> None:
    """A 401 is nobody's fault among the records: none is lost to it, none is called again before."""
    async with running_world(slots=5, max_retries=0) as world:
        world.provider.down = MisconfiguredError("HTTP 401")
        _send(world, 30)
        await _until_closed(world, GateName.MISCONFIGURED)
        assert len(world.provider.calls) <= 5
        assert [(gate.name, gate.why) for gate in world.engine.closed_gates()] == [(GateName.MISCONFIGURED, "HTTP 401")]
        world.provider.down = None
        world.engine.open_gate(GateName.MISCONFIGURED)
        await world.until(rows=30, unsettled=0)
        assert world.store.result("t0") == Succeeded('"t0"')
        world.sound()


async def test_a_flood_of_refusals_stops_before_it_fills_the_dlq() -> None:
    """Every token is refused: after the window is full no call starts but probes, which spend nothing; one answer opens."""
    async with running_world(slots=5, max_retries=0) as world:
        world.provider.down = RejectedError("HTTP 403")
        _send(world, 100)
        await _until_closed(world, GateName.DLQ_FLOOD)
        await _until_calls(world, len(world.provider.calls) + 3)
        assert 20 <= len(world.dead_letters.produced) <= 25
        world.provider.down = None
        await world.until(rows=100, unsettled=0)
        world.sound()


async def test_a_drain_behind_a_closed_gate_gives_everything_back() -> None:
    """Deferred and ready records are nobody's: the next owner reads them again."""
    async with running_world(slots=5, max_retries=0) as world:
        world.provider.down = MisconfiguredError("HTTP 401")
        _send(world, 30)
        await _until_closed(world, GateName.MISCONFIGURED)
        await world.revoked()
        world.sound()
        assert world.moved == {}
