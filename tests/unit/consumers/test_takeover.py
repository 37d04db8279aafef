"""The promise's bound: who takes over from a worker that was killed counts every call that may be a repeat."""

import asyncio

import pytest
from aiokafka.errors import CommitFailedError, KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from consumers import metrics
from consumers.engine.takeover import Resumption, resumption
from consumers.engine.window import PartitionWindow
from tests.support.engine_world import P0, P1, SECONDS, World, running_world, turn_loop
from tests.support.waiting import eventually
from topics.positions import CLEAN, RUNNING, Position


def _repeats() -> float:
    return float(metrics.REPEATED_CALLS._value.get())


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (Position(None, "", 3, 9), Resumption(3, 0, 0)),  # never read: nobody called
        (Position(5, CLEAN, 3, 9), Resumption(5, 0, 0)),
        (Position(5, RUNNING, 3, 9), Resumption(5, 9, 0)),
        (Position(5, "", 3, 9), Resumption(5, 9, 0)),  # somebody else's commit says nothing about calls
        (Position(2, CLEAN, 3, 9), Resumption(3, 0, 1)),  # retention was faster
        (Position(12, RUNNING, 3, 9), Resumption(3, 9, 0)),  # the topic was made anew
    ],
)
def test_where_a_partition_is_taken_up(position: Position, expected: Resumption) -> None:
    """Committed offset, mark, log start and end decide."""
    assert resumption(position) == expected


@given(
    start=st.integers(0, 20),
    doubt=st.integers(0, 20),
    offsets=st.lists(st.integers(0, 20), max_size=10, unique=True),
    every=st.booleans(),
)
def test_a_window_is_clean_when_no_call_is_open_and_no_doubt_is_left(
    *, start: int, doubt: int, offsets: list[int], every: bool
) -> None:
    """Against the plain definition: every call settled, and everything below the doubtful end passed."""
    window = PartitionWindow()
    window.resume(start, in_doubt_below=doubt)
    admitted = [offset for offset in sorted(offsets) if window.admit(offset)]
    repeats = [offset for offset in admitted if window.call(offset)]
    assert repeats == [offset for offset in admitted if offset < doubt]
    settled = admitted if every else admitted[1:]
    for offset in settled:
        window.settle(offset)
    open_calls = set(admitted) - set(settled)
    assert window.clean == (not open_calls and (window.committable or 0) >= doubt)


async def test_every_partition_is_marked_before_its_first_call() -> None:
    """While the commit of `running` has no answer nothing is called; then it is, and a drain leaves `clean`."""
    async with running_world() as world:
        await world.revoked()
        world.source.commit_hangs = True
        world.source.append("a")
        await world.assigned(P0, P1)
        await world.until(ready=1)
        await turn_loop()
        assert world.provider.calls == []
        world.source.commit_hangs = False
        world.engine._taking_over.cancel_all()
        await world.rebalanced(P0, P1)
        await world.until(rows=1, unsettled=0)
        assert set(world.source.marks.values()) == {RUNNING}
        await world.revoked()
        assert world.source.marks == {P0: CLEAN, P1: CLEAN}
        assert world.moved == {P0: 1}


async def test_calls_after_a_clean_stop_are_no_repeats_and_after_a_kill_they_are() -> None:
    """Ten records behind a `clean` mark count nothing; ten behind `running` count, those that came later do not."""
    async with running_world() as world:
        before = _repeats()
        for number in range(10):
            world.source.append(f"a{number}")
        await world.until(rows=10, unsettled=0)
        assert _repeats() == before
        await world.revoked()
        world.source.marks[P0] = RUNNING
        for number in range(10):
            world.source.append(f"b{number}")
        await world.assigned(P0)
        await world.until(rows=20, unsettled=0)
        assert _repeats() == before + 10
        world.source.append("c")
        await world.until(rows=21, unsettled=0)
        assert _repeats() == before + 10


async def test_a_mark_that_was_inherited_stays_until_its_doubt_is_passed() -> None:
    """A worker that drains before it has passed what the killed one had in hand leaves `running` behind."""
    async with running_world() as world:
        await world.revoked()
        world.source.marks[P0] = RUNNING
        world.source.committed[P0] = 0
        world.provider.held = {"slow"}
        world.source.append("slow")
        world.source.append("quick")
        world.store.reading.clear()
        await world.assigned(P0)
        await world.until(ready=2)
        await world.revoked()
        assert world.source.marks[P0] == RUNNING


async def test_a_call_that_was_cut_off_leaves_its_partition_in_doubt() -> None:
    """The drain limit passes: whoever comes next counts the call as a repeat."""
    async with running_world(drain_seconds=0.05) as world:
        before = _repeats()
        world.provider.held = {"slow"}
        world.source.append("slow")
        await world.until(calling=1)
        await world.revoked()
        assert (world.source.marks[P0], world.source.marks[P1]) == (RUNNING, CLEAN)
        world.provider.release()
        await world.assigned(P0)
        await world.until(rows=1, unsettled=0)
        assert _repeats() == before + 1


async def test_a_worker_that_was_replaced_counts_the_calls_that_it_made_since() -> None:
    """A zombie's last commit is refused: what it called since the last accepted one may be called by its successor."""
    async with running_world() as world:
        before = _repeats()
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        await eventually(lambda: _assert_confirmed(world), timeout_seconds=SECONDS)
        world.source.commit_error = CommitFailedError()
        world.source.append("b")
        await world.until(rows=2, unsettled=0)
        await world.revoked()
        assert _repeats() == before + 1
        assert world.moved == {P0: 1}


def _assert_confirmed(world: World) -> None:
    assert world.engine.state.calls_confirmed == world.engine.state.calls_made


async def test_positions_that_cannot_be_read_hold_the_calls_back() -> None:
    """With Kafka away nothing is called on a guess, nothing is committed over the old mark; then work begins."""
    async with running_world() as world:
        await world.revoked()
        world.source.marks[P0] = RUNNING
        world.source.positions_error = KafkaConnectionError()
        world.source.append("a")
        await world.assigned(P0)
        await world.until(ready=1)
        await world.committed()
        assert (world.provider.calls, world.source.marks[P0]) == ([], RUNNING)
        world.source.positions_error = None
        async with asyncio.timeout(SECONDS):
            await world.until(rows=1, unsettled=0)


async def test_records_that_retention_deleted_are_counted_as_lost() -> None:
    """A committed offset below the log's start: said, counted, and read on from there."""
    async with running_world() as world:
        await world.revoked()
        before = metrics.RECORDS_LOST._value.get()
        world.source.starts[P0] = 7
        await world.assigned(P0)
        async with asyncio.timeout(SECONDS):
            await world.engine.state.taken_over.wait()
        assert metrics.RECORDS_LOST._value.get() == before + 7
