import asyncio
import itertools
import time

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_api.wheel import TICK_SECONDS, Wheel
from tests.support.waiting import eventually

SLACK_SECONDS = 0.5
"""What a machine that is busy with other tests may be late."""


def _is(value: int, expected: int) -> None:
    assert value == expected


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0, 0.08), min_size=1, max_size=50))
def test_a_timer_is_never_early(delays: list[float]) -> None:
    """And all come, in the order of their ticks, whatever the order in which they were set (on uvloop, as in life)."""

    async def run() -> list[tuple[float, float]]:
        wheel, done, fired = Wheel(asyncio.get_running_loop()), asyncio.Event(), list[tuple[float, float]]()

        def act(due: float) -> None:
            fired.append((due, time.monotonic()))
            if len(fired) == len(delays):
                done.set()

        for delay in delays:
            due = time.monotonic() + delay
            wheel.later(delay, lambda due=due: act(due))  # type: ignore[misc]  # the default binds the loop's variable
        async with asyncio.timeout(10):
            await done.wait()
        return fired

    fired = uvloop.run(run())
    assert all(due <= at <= due + TICK_SECONDS + SLACK_SECONDS for due, at in fired)
    ticks = [due // TICK_SECONDS for due, _ in fired]
    assert all(later >= earlier - 1 for earlier, later in itertools.pairwise(ticks))


async def test_a_cancelled_timer_does_nothing() -> None:
    """Cancelling twice, or after the fact, is legal."""
    wheel, done, fired = Wheel(asyncio.get_running_loop()), asyncio.Event(), list[str]()
    cancelled = wheel.later(0.01, lambda: fired.append("cancelled"))
    last = wheel.later(0.03, done.set)
    cancelled.cancel()
    cancelled.cancel()
    async with asyncio.timeout(5):
        await done.wait()
    last.cancel()
    assert fired == []


async def test_a_timer_that_is_set_nearer_than_the_others_comes_first() -> None:
    """The wheel wakes up earlier than it was going to."""
    wheel, done, fired = Wheel(asyncio.get_running_loop()), asyncio.Event(), list[str]()
    wheel.later(60, lambda: fired.append("far"))
    wheel.later(0.01, done.set)
    async with asyncio.timeout(5):
        await done.wait()
    wheel.close()
    assert fired == []


async def test_a_timer_that_raises_stops_no_other() -> None:
    """The error is the event loop's to report; what is due in the same tick is done all the same."""
    loop = asyncio.get_running_loop()
    wheel, done, reported = Wheel(loop, clock=lambda: 0.0), asyncio.Event(), list[object]()
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def fail() -> None:
        raise ZeroDivisionError

    for act in (fail, fail, done.set):
        wheel.later(0, act)
    await eventually(lambda: _is(len(reported), 2), timeout_seconds=5)
    assert [type(each) for each in reported] == [ZeroDivisionError] * 2
    async with asyncio.timeout(5):
        await done.wait()


@pytest.mark.parametrize("delay", [0, 0.001, 1, 3600])
async def test_a_closed_wheel_does_nothing_any_more(delay: float) -> None:
    """Nothing of it is left in the event loop."""
    wheel, fired = Wheel(asyncio.get_running_loop()), list[str]()
    wheel.later(delay, lambda: fired.append("late"))
    wheel.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert fired == []
    assert wheel._armed is None
