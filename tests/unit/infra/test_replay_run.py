"""One replay, on a log and a database in memory: what it counts is what the topic has."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from consumers.engine.record import Record
from infra.replay.asked import Asked
from infra.replay.log import Range
from infra.replay.run import Counts, Replay, ReplayError
from producer_api.redrive.copies import Copy
from producer_api.redrive.sender import KafkaAwayError
from tests.support.records import make_record

AT = {TopicPartition("tokens", 0): (0, 1)}


class FakeLog:
    """One record, and nothing to come."""

    async def read(
        self, _ranges: Mapping[TopicPartition, Range], *, open_ended: bool = False
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield it."""
        yield [] if open_ended else [make_record(0)]

    async def above_committed(self) -> dict[TopicPartition, Range]:
        """Know of nothing."""
        return {}


class FakeSender:
    """Acknowledges, or Kafka is away."""

    def __init__(self, *, away: bool) -> None:
        self._away = away

    async def send(self, _copy: Copy) -> None:
        """Take a copy."""

    async def flush(self) -> list[uuid.UUID]:
        """Tell what became of it."""
        if self._away:
            raise KafkaAwayError("away")
        return []


@pytest.mark.parametrize("force", [False, True])
async def test_what_was_not_acknowledged_is_not_counted(force: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Kafka goes away: the run fails, and the row of the operation claims nothing that the topic has not."""
    counts = []
    for away in (True, False):
        replay = _replay(FakeSender(away=away), force=force)
        if away:
            with pytest.raises(ReplayError):
                await replay.run(AT)
        else:
            await replay.run(AT)
        counts.append(replay.counts.produced)
    assert counts == [0, 1]


def _replay(sender: Any, *, force: bool) -> Replay:
    async def fetch(_statement: str, *_arguments: Any) -> Sequence[Any]:
        return []

    async def progress(_counts: Counts) -> None:
        return

    log: Any = FakeLog()
    return Replay(
        fetch,
        log,
        sender,
        Asked(force=force),
        operation=uuid.uuid4(),
        run_id=None,
        on_progress=progress,
        stopping=asyncio.Event(),
    )
