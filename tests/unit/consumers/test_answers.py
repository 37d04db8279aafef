"""Bytes of answers: those that are read and those that wait to be stored stay below one bound, and nobody waits for ever."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.answers import Answers, Reading
from tests.support.engine_world import SECONDS, turn_loop


def _answers() -> Answers:
    return Answers(limit_bytes=100, stop_bytes=50)


def test_no_call_starts_while_too_much_waits_to_be_stored() -> None:
    """And again as soon as enough is stored."""
    answers = _answers()
    answers.keep(49)
    assert answers.may_call()
    answers.keep(1)
    assert not answers.may_call()
    answers.let_go(1)
    assert answers.may_call()


async def test_an_answer_is_read_at_once_while_there_is_room() -> None:
    """What it holds counts until its end; asking again for what it has costs nothing."""
    answers = _answers()
    reading = answers.begin()
    await answers.grow(reading, 60)
    await answers.grow(reading, 40)
    assert (answers.reading_bytes, reading.held_bytes) == (60, 60)
    answers.end(reading)
    assert answers.reading_bytes == 0


async def test_an_answer_waits_for_room_which_a_stored_one_makes() -> None:
    """With the database away it goes on waiting, until its call's deadline."""
    answers = _answers()
    answers.keep(90)
    reading = answers.begin()
    waiting = asyncio.create_task(answers.grow(reading, 20))
    await turn_loop()
    assert not waiting.done()
    answers.let_go(10)
    await asyncio.wait_for(waiting, SECONDS)
    answers.end(reading)


async def test_those_who_wait_go_on_in_the_order_in_which_they_began() -> None:
    """Not in that in which they asked: the oldest call has the least time left."""
    answers = _answers()
    first, second, third = (answers.begin() for _ in range(3))
    await answers.grow(third, 95)
    tasks = [asyncio.create_task(answers.grow(reading, 60)) for reading in (second, first)]
    await turn_loop()
    answers.end(third)
    await turn_loop()
    assert [task.done() for task in tasks] == [False, True]
    answers.end(first)
    await asyncio.wait_for(tasks[0], SECONDS)
    answers.end(second)
    assert answers.reading_bytes == 0


async def test_where_all_who_read_wait_for_each_other_the_oldest_goes_on() -> None:
    """It alone, so that the bound is passed by one answer at most; else their calls would all end at their deadlines."""
    answers = _answers()
    readings = [answers.begin() for _ in range(4)]
    for reading in readings:
        await answers.grow(reading, 25)
    tasks = [asyncio.create_task(answers.grow(reading, 50)) for reading in reversed(readings)]
    await turn_loop()
    assert [task.done() for task in tasks] == [False, False, False, True]
    again = asyncio.create_task(answers.grow(readings[0], 100))
    await turn_loop()
    assert (again.done(), sum(task.done() for task in tasks), answers.reading_bytes) == (True, 1, 175)
    answers.end(readings[0])
    for reading, task in zip(readings[1:], reversed(tasks[:3]), strict=True):
        await asyncio.wait_for(task, SECONDS)
        answers.end(reading)
    assert answers.reading_bytes == 0


async def test_a_cancelled_wait_leaves_no_trace() -> None:
    """A call that ran into its deadline while it waited for room."""
    answers = _answers()
    answers.keep(100)
    readings = [answers.begin() for _ in range(3)]
    tasks = [asyncio.create_task(answers.grow(reading, 30)) for reading in readings]
    await turn_loop()
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    answers.end(readings[0])
    answers.let_go(100)
    await asyncio.wait_for(asyncio.gather(*tasks[1:]), SECONDS)
    for reading in readings[1:]:
        answers.end(reading)
    assert (answers.reading_bytes, answers.unsaved_bytes) == (0, 0)


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "grow", "end", "cancel", "keep", "let_go"]), st.integers(0, 60)))


@given(STEPS)
def test_whatever_happens_the_bound_holds_but_for_one_answer_and_all_come_to_their_end(steps: list[tuple[str, int]]) -> None:
    """Answers begin, grow, end, give up, are kept and stored in any order; an answer is at most as large as the bound."""
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, int]]) -> None:
    answers = _answers()
    open_: list[tuple[Reading, asyncio.Task[None] | None]] = []
    kept: list[int] = []
    for step, number in steps:
        at = number % len(open_) if open_ else 0
        match step:
            case "begin":
                open_.append((answers.begin(), None))
            case "grow" if open_ and (open_[at][1] is None or open_[at][1].done()):  # type: ignore[union-attr]  # None is told apart first
                reading = open_[at][0]
                open_[at] = (reading, asyncio.create_task(answers.grow(reading, min(100, reading.held_bytes + number))))
            case "end" if open_ and (open_[at][1] is None or open_[at][1].done()):  # type: ignore[union-attr]  # as above
                answers.end(open_.pop(at)[0])
            case "cancel" if open_ and open_[at][1] is not None:
                reading, task = open_.pop(at)
                assert task is not None
                task.cancel()
                await asyncio.wait({task})
                answers.end(reading)
            case "keep" if answers.unsaved_bytes + number <= 100:
                kept.append(number)
                answers.keep(number)
            case "let_go" if kept:
                answers.let_go(kept.pop())
        await asyncio.sleep(0)
        assert answers.reading_bytes == sum(reading.held_bytes for reading, _ in open_)
        assert answers.unsaved_bytes == sum(kept)
        assert answers.reading_bytes <= 200
    while kept:
        answers.let_go(kept.pop())
    while open_:
        await asyncio.sleep(0)
        ended = next(at for at, (_, task) in enumerate(open_) if task is None or task.done())
        answers.end(open_.pop(ended)[0])
    assert (answers.reading_bytes, answers.unsaved_bytes) == (0, 0)
