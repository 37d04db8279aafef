"""Everything at once, in an order that a seed decides: the invariants together."""

import asyncio
import random

import pytest
from aiokafka.errors import CommitFailedError
from aiokafka.structs import TopicPartition

from consumers.engine import backoff
from tests.support.engine_world import P0, P1, SECONDS, World, running_world, turn_loop
from tests.support.records import make_id
from tests.support.waiting import eventually

TOKENS = 60


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is tried again at once."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(backoff, "LIMIT_SECONDS", 0.01)


class Storm:
    """Faults and their ends; `sent` maps partition and offset to the token there."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.sent: dict[tuple[TopicPartition, int], str] = {}
        world.source.on_commit = self.check_commit

    def check_commit(self, partition: TopicPartition, offset: int) -> None:
        """Invariant 1: whatever lies below a committed offset has its row."""
        stored = {held.row.token for held in self.world.store.rows.values()}
        missing = [at for at in range(offset) if self.sent[partition, at] not in stored]
        assert not missing, f"{partition} was committed to {offset} without the rows of {missing}"

    def check_end(self) -> None:
        """Every partition was read and committed to its end."""
        ends = {partition: len(log) for partition, log in self.world.source.log.items()}
        assert {partition: offset for partition, offset in self.world.source.committed.items() if offset} == ends

    def append(self) -> None:
        """Send a few records, copies among them, to any partition."""
        for _ in range(self.random.randint(1, 8)):
            number = self.random.randrange(TOKENS)
            partition = self.random.choice((P0, P1))
            redrive = self.random.choice(("0", "0", "1"))
            polled = self.world.source.append(
                f"t{number}", partition=partition, record_id=make_id(number), redrive_count=redrive
            )
            self.sent[partition, polled.offset] = f"t{number}"

    async def rebalance(self) -> None:
        """A whole rebalance, whose calls end while it drains."""
        revoke = asyncio.create_task(self.world.revoked())
        await turn_loop(self.random.randint(0, 10))
        self.world.provider.release()
        self.world.store.saving.set()
        self.world.store.away = self.world.store.away and self.random.random() < 0.2
        await revoke
        await self.world.assigned(*self.random.choice(((P0, P1), (P0,), (P1,), ())))

    async def step(self) -> None:
        """One thing happens."""
        world = self.world
        match self.random.randrange(9):
            case 0 | 1:
                self.append()
            case 2:
                await self.rebalance()
            case 3:
                world.store.away = not world.store.away
            case 4:
                world.provider.hold_all = True
            case 5:
                world.provider.release()
            case 6:
                world.source.commit_error = self.random.choice((None, None, CommitFailedError()))
            case 7:
                world.store.lying = True
            case _:
                await world.engine._committer.commit()
        await turn_loop(self.random.randint(0, 15))


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_is_lost_repeated_or_committed_too_early(seed: int) -> None:
    """150 random events: every token that was sent is called exactly once, has its row, and the offsets end at the end."""
    async with running_world(slots=7) as world:
        storm = Storm(world, seed)
        for _ in range(150):
            await storm.step()
        world.store.away = False
        world.source.commit_error = None
        world.provider.release()
        await world.rebalanced(P0, P1)
        await eventually(storm.check_end, timeout_seconds=SECONDS, interval_seconds=0.01)
        sent = set(storm.sent.values())
        assert len(world.store.rows) == len(sent)
        assert sorted(world.provider.calls) == sorted(sent)
        world.sound()
