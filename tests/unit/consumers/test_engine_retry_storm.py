"""Retries through everything at once, in an order that a seed decides."""

import asyncio
import random

import pytest
from aiokafka.errors import CommitFailedError
from aiokafka.structs import TopicPartition

from consumers.engine import backoff
from tests.support.engine_fakes import RETRY_TOPIC
from tests.support.engine_world import P0, P1, World, running_world, turn_loop
from tests.support.records import make_id
from tests.support.waiting import eventually

R0, R1 = TopicPartition(RETRY_TOPIC, 0), TopicPartition(RETRY_TOPIC, 1)
TOKENS = 60
MAX_RETRIES = 2


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is tried again at once."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(backoff, "LIMIT_SECONDS", 0.01)


class Storm:
    """Faults and their ends, while tokens fail up to four times each."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.fails = {f"t{number}": self.random.randint(0, 4) for number in range(TOKENS)}
        world.provider.failures = dict(self.fails)
        world.dead_letters.delay_seconds = 0.03
        world.source.on_commit = self.check_commit
        self.sent: set[str] = set()

    def check_commit(self, partition: TopicPartition, offset: int) -> None:
        """Invariant 1: whatever lies below a committed offset has its row, of this attempt or a later one."""
        rows = {held.row.token: held.row for held in self.world.store.rows.values()}
        for record in self.world.source.log[partition][:offset]:
            row = rows.get((record.value or b"").decode())
            attempt = int(dict(record.headers).get("attempt") or b"1")
            assert row is not None, (partition, record)
            assert row.outcome != "retrying" or row.attempt >= attempt, (partition, record, row)

    def send(self) -> None:
        """Send a few records, copies among them."""
        for _ in range(self.random.randint(1, 8)):
            number = self.random.randrange(TOKENS)
            self.sent.add(f"t{number}")
            self.world.source.append(f"t{number}", partition=(P0, P1)[number % 2], record_id=make_id(number))

    async def rebalance(self) -> None:
        """A whole rebalance, to partitions that belong together."""
        revoke = asyncio.create_task(self.world.revoked())
        await turn_loop(self.random.randint(0, 10))
        self.world.store.saving.set()
        self.world.store.away = self.world.store.away and self.random.random() < 0.2
        self.world.dead_letters.open.set()
        await revoke
        await self.world.assigned(*self.random.choice(((P0, P1, R0, R1), (P0, R0), (P1, R1), ())))

    async def step(self) -> None:
        """One thing happens."""
        world = self.world
        match self.random.randrange(8):
            case 0 | 1:
                self.send()
            case 2:
                await self.rebalance()
            case 3:
                world.store.away = not world.store.away
            case 4:
                world.dead_letters.open.clear() if world.dead_letters.open.is_set() else world.dead_letters.open.set()
            case 5:
                world.source.commit_error = self.random.choice((None, None, CommitFailedError()))
            case 6:
                world.store.lying = True
            case _:
                await world.engine._committer.commit()
        await turn_loop(self.random.randint(0, 15))

    def is_over(self) -> None:
        """Every token that was sent is final, and every log is committed to its end."""
        outcomes = {held.row.token: held.row.outcome for held in self.world.store.rows.values()}
        expected = {token: "succeeded" if self.fails[token] <= MAX_RETRIES else "dead_lettered" for token in self.sent}
        assert outcomes == expected
        ends = {partition: len(log) for partition, log in self.world.source.log.items() if log}
        assert self.world.moved == ends


@pytest.mark.parametrize("seed", range(10))
async def test_every_attempt_is_made_once_and_every_record_ends(seed: int) -> None:
    """150 random events: a token that fails k times is called k + 1 times, or MAX_RETRIES + 1, and ends as it should."""
    async with running_world(slots=7, max_retries=MAX_RETRIES) as world:
        await world.rebalanced(P0, P1, R0, R1)
        storm = Storm(world, seed)
        for _ in range(150):
            await storm.step()
        world.store.away, world.source.commit_error = False, None
        world.dead_letters.open.set()
        await world.rebalanced(P0, P1, R0, R1)
        await eventually(storm.is_over, timeout_seconds=10, interval_seconds=0.02)
        calls = {token: world.provider.calls.count(token) for token in storm.sent}
        assert calls == {token: min(storm.fails[token], MAX_RETRIES) + 1 for token in storm.sent}
        world.sound()
