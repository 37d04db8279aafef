"""What may succeed later is tried again when it is due: held in memory, never early, never lost, never twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.structs import TopicPartition

from consumers.engine.pump import BETWEEN_TIMEOUT_MS
from consumers.engine.record import DeadLettered, ErrorKind, Succeeded
from consumers.errors import RejectedError, TransientError
from tests.support.engine_fakes import RETRY_DELAY_SECONDS, RETRY_TOPIC
from tests.support.engine_world import P0, P1, World, running_world, turn_loop
from tests.support.records import make_id
from tests.support.waiting import eventually

R0 = TopicPartition(RETRY_TOPIC, 0)
R1 = TopicPartition(RETRY_TOPIC, 1)


@asynccontextmanager
async def _retrying(*, slots: int = 10, max_retries: int = 3) -> AsyncIterator[World]:
    """A world whose worker has a partition of `tokens` and its retry partition."""
    async with running_world(slots=slots, max_retries=max_retries) as world:
        await world.rebalanced(P0, R0)
        yield world


def _assert_moved(world: World, offsets: dict[TopicPartition, int]) -> None:
    assert world.moved == offsets


def _headers(world: World, offset: int = 0) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in world.source.log[R0][offset].headers}


def _park(world: World, token: str, *, due_in_seconds: float, attempt: int = 2, number: int = 1) -> None:
    """Write a retry copy as a worker would have."""
    now_ms = (time.time() + due_in_seconds - RETRY_DELAY_SECONDS) * 1000
    world.source.append(token, partition=R0, record_id=make_id(number), timestamp_ms=int(now_ms), attempt=str(attempt))


async def test_a_record_is_tried_again_and_succeeds() -> None:
    """One failure, one copy, one success: a row that was retrying and is succeeded, both offsets at their ends."""
    async with _retrying() as world:
        world.provider.errors["a"] = TransientError("later")
        world.source.append("a")
        await world.until(held=1, rows=1)
        assert [held.row.outcome for held in world.store.rows.values()] == ["retrying"]
        assert await world.committed() == {P0: 1}
        del world.provider.errors["a"]
        await world.until(held=0, unsettled=0, calls=2)
        assert world.store.result("a") == Succeeded('"a"')
        assert [held.row.attempt for held in world.store.rows.values()] == [2]
        assert await world.committed() == {P0: 1, R0: 1}
        world.sound()


async def test_after_the_last_retry_it_is_a_dead_letter() -> None:
    """MAX_RETRIES=2: three calls, two copies, one dead letter with its last error and attempt 3."""
    async with _retrying(max_retries=2) as world:
        world.provider.errors["a"] = TransientError("never")
        world.source.append("a")
        await world.until(calls=3, unsettled=0)
        assert world.store.result("a") == DeadLettered(ErrorKind.TRANSIENT, "never")
        assert [held.row.attempt for held in world.store.rows.values()] == [3]
        assert await world.committed() == {P0: 1, R0: 2}
        world.sound()


async def test_what_a_retry_cannot_mend_is_a_dead_letter_at_once() -> None:
    """And so is everything with MAX_RETRIES=0."""
    async with _retrying() as world:
        world.provider.errors["a"] = RejectedError("no")
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert (len(world.source.log[R0]), world.store.result("a")) == (0, DeadLettered(ErrorKind.REJECTED, "no"))
    async with _retrying(max_retries=0) as world:
        world.provider.errors["a"] = TransientError("later")
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert (len(world.source.log[R0]), len(world.provider.calls)) == (0, 1)


async def test_the_first_record_and_its_first_failure_are_known_at_every_hop() -> None:
    """Coordinates, trace context, first failure and id survive; attempt and error are those of the hop."""
    async with _retrying() as world:
        world.provider.errors["a"] = TransientError("one")
        world.source.append("x")
        world.source.append("a", traceparent="00-trace", mine="kept")
        await world.until(held=1)
        first = _headers(world)
        world.provider.errors["a"] = TransientError("two")
        await world.until(calls=3, held=1)
        second = _headers(world, 1)
        assert [second[name] for name in ("attempt", "error-message", "traceparent", "mine")] == [
            "3", "two", "00-trace", "kept",
        ]  # fmt: skip
        same = ("record-id", "first-failed-at", "source-topic", "source-partition", "source-offset", "source-timestamp")
        assert [second[name] for name in same] == [first[name] for name in same]
        assert (first["source-topic"], first["source-offset"], first["attempt"]) == ("tokens", "1", "2")
        world.provider.errors.clear()
        await world.until(unsettled=0)


async def test_the_row_follows_the_produce_and_the_offset_the_row() -> None:
    """A produce without an answer holds the row back, and with it the offset; an outage of Kafka makes no second call."""
    async with _retrying() as world:
        world.dead_letters.open.clear()
        world.provider.errors["a"] = TransientError("later")
        world.source.append("a")
        await world.until(persisting=1)
        await turn_loop()
        assert (len(world.store.rows), await world.committed()) == (0, {})
        world.provider.errors.clear()
        world.dead_letters.open.set()
        await world.until(calls=2, unsettled=0)
        assert world.store.result("a") == Succeeded('"a"')


async def test_a_copy_that_the_topic_does_not_take_is_a_dead_letter() -> None:
    """Too large with our headers: no copy, no loop, a dead letter with the error that it failed with."""
    async with _retrying() as world:
        world.dead_letters.too_large = {"a"}
        world.provider.errors["a"] = TransientError("later")
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert world.store.result("a") == DeadLettered(ErrorKind.TRANSIENT, "later")
        world.sound()


async def test_nothing_is_called_before_it_is_due() -> None:
    """A copy that is due in half a second is called then, and a partition that holds is not polled."""
    async with _retrying() as world:
        started = time.time()
        _park(world, "a", due_in_seconds=0.5)
        await world.until(held=1)
        _park(world, "b", due_in_seconds=-5, number=2)
        await turn_loop()
        assert world.provider.calls == []
        await world.until(calls=2, unsettled=0)
        assert time.time() - started >= 0.5
        assert world.provider.calls == ["a", "b"]


async def test_a_revoke_gives_back_what_is_held() -> None:
    """Held, then revoked: nothing is called or committed; the next assignment holds it again, and it is called once."""
    async with _retrying() as world:
        _park(world, "a", due_in_seconds=0.6)
        await world.until(held=1)
        await world.revoked()
        world.sound()
        assert world.moved == {}
        await world.assigned(P0, R0)
        await world.until(held=1)
        await world.until(calls=1, rows=1, unsettled=0)
        assert await world.committed() == {R0: 1}
        world.sound()


async def test_two_copies_of_one_attempt_are_one_call() -> None:
    """A crash between produce and row leaves two copies: the second is passed, whether it comes at once or later."""
    async with _retrying() as world:
        for _ in range(2):
            _park(world, "a", due_in_seconds=0.3)
        await world.until(rows=1, unsettled=0)
        _park(world, "a", due_in_seconds=-1)
        await eventually(lambda: _assert_moved(world, {R0: 3}), timeout_seconds=5)
        assert world.provider.calls == ["a"]


async def test_a_record_that_succeeded_meanwhile_is_not_called_when_it_is_due() -> None:
    """The check is made at the due time, not when the copy was read."""
    async with _retrying() as world:
        _park(world, "a", due_in_seconds=0.5)
        await world.until(held=1)
        world.source.append("a", record_id=make_id(1))
        await world.until(rows=1)
        await world.until(unsettled=0)
        assert world.provider.calls == ["a"]


async def test_due_retries_take_a_fifth_of_the_slots_while_fresh_ones_wait() -> None:
    """Twenty slots, all taken by fresh calls: of the next twenty, four are retries; with no fresh ones left, all are."""
    async with _retrying(slots=20) as world:
        world.provider.hold_all = True
        for number in range(30):
            world.source.append(f"fresh{number}")
        await world.until(calling=20, ready=10)
        for number in range(30):
            _park(world, f"due{number}", due_in_seconds=-1, number=1000 + number)
        await world.until(calling=20, ready=40)
        world.provider.release(*world.provider.calls)
        await world.until(calls=40, calling=20)
        kinds = [token[:3] for token in world.provider.calls[20:34]]
        assert (kinds.count("due"), kinds.count("fre")) == (4, 10)
        world.provider.release()
        await world.until(calls=60, unsettled=0)
        world.sound()


async def test_a_worker_with_retry_partitions_alone_works() -> None:
    """More retry partitions than fresh ones, or an odd assignment: nothing is polled that is not assigned."""
    async with running_world(max_retries=3) as world:
        await world.rebalanced(R1)
        world.source.append("a", partition=R1, record_id=make_id(3), attempt="2")
        await world.until(rows=1, unsettled=0)
        await world.rebalanced(P1)
        async with asyncio.timeout(5):
            await world.until(ready=0)
        world.sound()


async def test_fresh_records_do_not_wait_for_a_look_at_an_empty_retry_topic() -> None:
    """A worker that is full polls the retry topic meanwhile; the place that comes free is filled at once, not after that."""
    count = 60
    async with _retrying(slots=1) as world:
        for number in range(count):
            world.source.append(f"t{number}")
        began = time.monotonic()
        await world.until(rows=count, unsettled=0)
        assert time.monotonic() - began < count * BETWEEN_TIMEOUT_MS / 1000 / 3


async def test_a_worker_with_retry_partitions_alone_waits_for_them() -> None:
    """It polls with patience, not as often as it can."""
    async with _retrying() as world:
        await world.rebalanced(R0)
        before = world.source.asked

        def polls_again() -> None:
            assert world.source.asked > before + 1

        await eventually(polls_again, timeout_seconds=5)
        asked = world.source.asked
        await turn_loop(200)
        assert world.source.asked <= asked + 2
        _park(world, "a", due_in_seconds=-1)
        await world.until(calls=1, unsettled=0)
