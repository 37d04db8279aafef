"""A static member id belongs to one live worker: the one that loses it to another ends, with a sentence.

1. Worker A joins as `one`. 2. Worker B, alive beside it, joins as `one` too: the broker gives A's place to B. 3. A's next
heartbeat is not recognised, and aiokafka (0.14) joins again as `one`: now B has lost its place. So it goes on for ever,
once a second, and each works on what the other still has in a call (measured: 381 of 4,000 calls paid twice in 20 s).
Java's client ends in step 3, and so does this: whoever came last keeps the id, as after the restart of a member.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from aiokafka import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumers.engine.engine import Engine
from consumers.settings import WorkerSettings
from topics.connection import client_options

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 4.0
"""Part of the margin between drain limit and rebalance timeout (15 s), of which the last commit takes 5 s at most."""
EVICTED: Final = ""
"""The member id of a consumer that the broker does not recognise any more (aiokafka: UNKNOWN_MEMBER_ID)."""


class StaticIdTakenError(Exception):
    """Another live worker has the static id; the text names the setting and the remedy."""


class StaticIdGuard(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Hands each rebalance on to the engine, and fails it where this worker was evicted by a namesake."""

    def __init__(self, engine: Engine, settings: WorkerSettings, *, member_id: Callable[[], str]) -> None:
        self._engine = engine
        self._settings = settings
        self._member_id = member_id

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Drain; then, if this member was evicted, see whether another one has its id.

        Raises CancelledError where it has: aiokafka joins again as soon as this returns, whatever is going to happen to
        the process, and would take the id back from the one that has it. Cancelled, its coordination ends.
        """
        await self._engine.on_partitions_revoked(revoked)
        if revoked and self._member_id() == EVICTED and await self._is_taken():
            self._engine.fail(
                StaticIdTakenError(
                    f"another live worker joined as {self._settings.static_id}: give each worker its own "
                    "KAFKA_GROUP_INSTANCE_ID or WORKER_INDEX, or leave KAFKA_GROUP_INSTANCE_ID out."
                )
            )
            raise asyncio.CancelledError

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """See the engine."""
        await self._engine.on_partitions_assigned(assigned)

    async def _is_taken(self) -> bool:
        """Ask the broker for a member of our id: we are not in the group now. One that does not answer says nothing."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                members = await _member_ids(self._settings)
        except (TimeoutError, OSError, KafkaError) as error:
            log.warning("evicted from the group, and Kafka does not say who else is %s: %r", self._settings.static_id, error)
            return False
        return any(is_of(member, self._settings.static_id) for member in members)


def is_of(member_id: str, static_id: str | None) -> bool:
    """Say whether the broker made this member id for this static id: it puts a UUID behind it. Pure."""
    return static_id is not None and member_id[:-UUID_CHARACTERS] == f"{static_id}-"


UUID_CHARACTERS: Final = 36


async def _member_ids(settings: WorkerSettings) -> list[str]:
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        (answer,) = await admin.describe_consumer_groups([settings.kafka_group_id])
        return [member["member_id"] for group in answer.to_object()["groups"] for member in group["members"]]
    finally:
        await admin.close()
