"""A worker that stood still starts no call before it knows that it is a member still."""

import pytest
from aiokafka.errors import CommitFailedError

from consumers.engine import pulse
from consumers.engine.pause import Pause, uptime
from tests.support.engine_world import P0, P1, PAUSE_SECONDS, World, running_world, turn_loop


@pytest.fixture(autouse=True)
def quick_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat that a test can wait for."""
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.01)


def test_a_pause_is_noticed_at_the_first_look_and_lasts_until_it_is_ended() -> None:
    """Beats at 0 and 5 s; then nothing for 11 s with a limit of 10."""
    pause = Pause(limit_seconds=10, now=0)
    pause.beat(5)
    assert [pause.noticed(now) for now in (15, 16, 17)] == [False, True, True]
    pause.beat(18)
    assert pause.noticed(18)
    pause.end(19)
    assert not pause.noticed(20)


def _stand_still(world: World) -> None:
    """Let so much time pass at once that another member may have taken over."""
    woken = uptime() + PAUSE_SECONDS + 1
    world.engine.state.uptime = lambda: woken


async def test_a_zombie_calls_nothing_of_what_it_had_ready() -> None:
    """It is refused, the revoke gives its queue back, and no record was called that it had not called before."""
    async with running_world(slots=2) as world:
        world.provider.hold_all = True
        for number in range(6):
            world.source.append(f"t{number}")
        await world.until(calling=2)
        world.source.commit_error = CommitFailedError()
        _stand_still(world)
        world.provider.release()
        await world.until(calling=0, persisting=0)
        await turn_loop()
        assert world.provider.calls == ["t0", "t1"]
        await world.revoked()
        world.sound()


async def test_a_worker_that_is_a_member_still_goes_on() -> None:
    """Its commit is accepted, though nothing moved, and the next calls start."""
    async with running_world(slots=2) as world:
        world.provider.hold_all = True
        for number in range(6):
            world.source.append(f"t{number}")
        await world.until(calling=2)
        _stand_still(world)
        world.provider.release()
        await world.until(rows=6, unsettled=0)
        assert set(world.source.committed) == {P0, P1}
