"""An engine between a source, a store and a provider in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from consumers.engine.engine import Engine, Limits, Ports
from consumers.engine.intake import make_intake
from tests.support.engine_fakes import FakeDeadLetters, FakeProvider, FakeSource, FakeStore
from tests.support.waiting import eventually

P0 = TopicPartition("tokens", 0)
P1 = TopicPartition("tokens", 1)
PAUSE_SECONDS = 60.0
SECONDS = 5.0
"""Deadline of everything that a test of the engine waits for."""


@dataclass(slots=True)
class World:
    """An engine, and the world around it."""

    engine: Engine
    source: FakeSource
    store: FakeStore
    provider: FakeProvider
    dead_letters: FakeDeadLetters

    async def assigned(self, *partitions: TopicPartition) -> None:
        """End a rebalance: the consumer has these partitions now."""
        self.source.assign(partitions)
        await self.engine.on_partitions_assigned(partitions)

    async def revoked(self) -> None:
        """Begin a rebalance, as aiokafka does: polls stop, then the callback is awaited."""
        self.source.revoke()
        async with asyncio.timeout(SECONDS):
            await self.engine.on_partitions_revoked(set(self.source.position))

    async def rebalanced(self, *partitions: TopicPartition) -> None:
        """Go through a whole rebalance."""
        await self.revoked()
        await self.assigned(*partitions)

    async def committed(self) -> dict[TopicPartition, int]:
        """Commit what may be committed; return the offsets that moved from the start of their partitions."""
        await self.engine._committer.commit()
        return self.moved

    @property
    def moved(self) -> dict[TopicPartition, int]:
        """Committed offsets above 0: a takeover commits every partition where it begins."""
        return {partition: offset for partition, offset in self.source.committed.items() if offset}

    async def until(self, *, calls: int | None = None, rows: int | None = None, **counts: int) -> None:
        """Wait until the provider saw so many calls, the store has so many rows, the engine counts so many records."""

        def holds() -> None:
            assert calls is None or len(self.provider.calls) == calls, self.provider.calls
            assert rows is None or len(self.store.rows) == rows, self.store.rows
            seen = self.engine.counts()
            assert counts == {name: seen[name] for name in counts}, seen

        await eventually(holds, timeout_seconds=SECONDS, interval_seconds=0.002)

    def sound(self) -> None:
        """Nothing failed, nothing is in hand, and no claim is left."""
        assert not self.engine.failure.done(), self.engine.failure.result()
        assert {**self.engine.counts(), "partitions": 0} == dict.fromkeys(self.engine.counts(), 0)
        assert len(self.engine.state.claims) == 0


def make_world(*, slots: int = 10, drain_seconds: float = 2.0, stuck_seconds: float = 60.0, max_retries: int = 0) -> World:
    """Build an engine that has not joined yet."""
    source, store, provider = FakeSource(), FakeStore(), FakeProvider()
    dead_letters = FakeDeadLetters(source)
    limits = Limits(
        slots=slots,
        drain_seconds=drain_seconds,
        commit_interval_seconds=0.02,
        stuck_seconds=stuck_seconds,
        pause_seconds=PAUSE_SECONDS,
        max_retries=max_retries,
        dlq_flood_ratio=0.5,
    )
    ports = Ports(source, store, provider, dead_letters)
    return World(Engine(ports, intake=make_intake(None), limits=limits), source, store, provider, dead_letters)


@asynccontextmanager
async def running_world(
    *, slots: int = 10, drain_seconds: float = 2.0, stuck_seconds: float = 60.0, max_retries: int = 0
) -> AsyncIterator[World]:
    """An engine with partitions 0 and 1, until the block ends; it is stopped then, with every fault off."""
    world = make_world(slots=slots, drain_seconds=drain_seconds, stuck_seconds=stuck_seconds, max_retries=max_retries)
    await world.assigned(P0, P1)
    world.engine.start()
    async with asyncio.timeout(SECONDS):
        await world.engine.state.taken_over.wait()
    try:
        yield world
    finally:
        world.store.away, world.store.refused = False, None
        world.store.saving.set()
        world.store.reading.set()
        world.provider.release()
        world.dead_letters.open.set()
        world.source.commit_hangs, world.source.commit_error = False, None
        world.source.positions_error = None
        async with asyncio.timeout(SECONDS):
            await world.engine.stop()


async def turn_loop(times: int = 20) -> None:
    """Let every task that can go on go on."""
    for _ in range(times):
        await asyncio.sleep(0)
