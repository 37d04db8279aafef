"""Invariants 2, 3 and 4: what was polled is admitted at once; two bounds; one slow call blocks nothing but its slot."""

import asyncio
import json

from tests.support.engine_world import P0, P1, SECONDS, World, make_world, running_world, turn_loop
from tests.support.waiting import eventually


def _assert_polled(world: World, least: int) -> None:
    assert sum(world.source.polls) >= least


def _assert_called(world: World, least: int) -> None:
    assert len(world.provider.calls) >= least


async def test_every_polled_record_is_in_its_window_before_anything_else_runs() -> None:
    """The step of the pump that takes records from a poll ends with all of them admitted and claimed: no await between."""
    world = make_world(slots=100)
    await world.assigned(P0, P1)
    for number in range(30):
        world.source.append(f"t{number}", partition=(P0, P1)[number % 2])
    world.engine._check.submit(world.engine._pump._admit(await world.source.getmany(P0, P1, timeout_ms=1, max_records=30)))
    assert [len(window) for _, window in world.engine.state.windows.items()] == [15, 15]
    assert len(world.engine.state.claims) == 30
    await world.engine.stop()
    world.sound()


async def test_a_slot_is_free_when_the_answer_is_here_not_when_its_row_is_written() -> None:
    """With the database hanging, calls go on far beyond the number of slots."""
    async with running_world(slots=10) as world:
        world.store.saving.clear()
        for number in range(60):
            world.source.append(f"t{number}")
        await world.until(calls=60, calling=0, persisting=60)


async def test_no_more_calls_run_than_there_are_slots() -> None:
    """A hundred records, ten slots: never eleven calls, and each token is called once."""
    async with running_world(slots=10) as world:
        world.provider.hold_all = True
        for number in range(100):
            world.source.append(f"t{number}")
        await world.until(calling=10, ready=5)
        await turn_loop()
        world.provider.release()
        await world.until(rows=100, unsettled=0)
        assert world.provider.most_running == 10
        assert sorted(world.provider.calls) == sorted(f"t{number}" for number in range(100))


async def test_what_is_read_ahead_is_bounded() -> None:
    """With every slot taken for ever, half as many records again are read and no more."""
    async with running_world(slots=10) as world:
        world.provider.hold_all = True
        for number in range(100):
            world.source.append(f"t{number}")
        await world.until(calling=10, ready=5, unsettled=15)
        await turn_loop()
        assert sum(world.source.polls) == 15


async def test_the_bound_on_unsettled_records_stops_polling_and_lets_go_again() -> None:
    """With the database hanging, polling stops at the bound; once it answers, all of it ends."""
    async with running_world(slots=10) as world:
        world.engine.state.admission.unsettled_limit = 40
        world.store.saving.clear()
        for number in range(100):
            world.source.append(f"t{number}")
        await eventually(lambda: _assert_polled(world, 38), timeout_seconds=SECONDS)
        await turn_loop(200)
        assert sum(world.source.polls) <= 40
        world.store.saving.set()
        await world.until(rows=100, unsettled=0)
        world.sound()


async def test_one_hanging_call_blocks_nothing_but_its_slot() -> None:
    """The head of a partition hangs; 99 behind it and beside it are called, stored and settled."""
    async with running_world(slots=2) as world:
        world.provider.held = {"t0"}
        for number in range(100):
            world.source.append(f"t{number}", partition=P0)
        await world.until(rows=99, calling=1, unsettled=1)
        assert not any((await world.committed()).values())
        world.provider.release()
        await world.until(rows=100, unsettled=0)


async def test_a_full_worker_polls_in_batches_not_record_by_record() -> None:
    """Calls that end one at a time, each freeing one place, do not cost a poll and a query each (2b of the budget)."""
    async with running_world(slots=40) as world:
        world.provider.hold_all = True
        for number in range(200):
            world.source.append(f"t{number}")
        await world.until(calling=40, ready=20)
        for done in range(1, 101):
            world.provider.release(world.provider.calls[done - 1])
            await turn_loop()
        await world.until(calling=40)
        assert len(world.provider.calls) == 140
        assert len(world.store.queries) < 25


async def test_a_call_that_is_cancelled_from_within_is_an_outcome_like_another() -> None:
    """A provider whose own helper task was cancelled raises CancelledError; the record must not hang in its window."""
    async with running_world() as world:
        world.provider.errors = {"a": asyncio.CancelledError()}
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert await world.committed() == {P0: 1}
        world.sound()


async def test_large_answers_go_in_small_statements() -> None:
    """Forty answers of 1 MiB: no statement carries more than eight of them, and all of them are written."""
    async with running_world(slots=50) as world:
        world.store.saving.clear()
        world.provider.padding = 1_048_576
        for number in range(40):
            world.source.append(f"t{number}")
        await world.until(calls=40, persisting=40)
        world.store.saving.set()
        await world.until(rows=40, unsettled=0)
        assert max(world.store.saves) <= 8
        world.sound()


async def test_answers_that_cannot_be_stored_stop_the_calls_and_stored_ones_start_them_again() -> None:
    """With the database hanging, 200 answers are not all asked for; nobody but the sink wakes the calls again."""
    async with running_world(slots=10) as world:
        answers = world.engine.state.admission.answers
        answers.stop_bytes = 50_000
        world.store.saving.clear()
        world.provider.padding = 1_000
        for number in range(200):
            world.source.append(f"t{number}")
        await eventually(lambda: _assert_called(world, 45), timeout_seconds=SECONDS)
        await turn_loop(200)
        assert len(world.provider.calls) <= 60
        assert answers.unsaved_bytes <= 65_000
        world.store.saving.set()
        await world.until(rows=200, unsettled=0)
        assert answers.unsaved_bytes == 0
        world.sound()


async def test_bytes_of_records_stop_polling_and_let_go_again() -> None:
    """With every call hanging, as many are read as there is room for, and all are worked on in the end."""
    async with running_world(slots=100) as world:
        world.provider.hold_all = True
        world.engine.state.admission.record_bytes_limit = 60_000
        for number in range(200):
            world.source.append(json.dumps({"token": f"t{number}", "padding": "x" * 1_000}))
        await eventually(lambda: _assert_polled(world, 59), timeout_seconds=SECONDS)
        await turn_loop(200)
        assert sum(world.source.polls) <= 60 + 50
        world.provider.release()
        await world.until(rows=200, unsettled=0)
        assert world.engine.state.admission.record_bytes == 0
        world.sound()


async def test_many_answers_go_in_statements_of_five_hundred() -> None:
    """Answers that came while the database hung: both flushers hold one statement, and the queue is longer than another."""
    async with running_world(slots=2_500) as world:
        world.store.saving.clear()
        for number in range(2_500):
            world.source.append(f"t{number}")
        await world.until(calls=2_500, persisting=2_500)
        world.store.saving.set()
        await world.until(rows=2_500, unsettled=0)
        assert max(world.store.saves) == 500
        world.sound()
