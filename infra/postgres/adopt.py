"""Give a database to another consumer group, once the old one has no members any more."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from infra.postgres.migrate import Connection, MigrationError, read_sql
from topics.connection import client_options
from topics.settings import KafkaSettings

KAFKA_SECONDS: Final = 20.0


async def adopt_group(connection: Connection, settings: KafkaSettings, group_id: str) -> str | None:
    """Make `group_id` the database's group; return the group it had before, None if it had none. Idempotent.

    Raises:
        MigrationError: the old group still has members, or Kafka cannot say.

    """
    async with connection.transaction():
        old: str | None = await connection.fetchval(read_sql("lock_consumer_group"))
        if old is not None and old != group_id:
            members = await count_members(settings, old)
            if members:
                msg = (
                    f"Consumer group {old} still has {members} members, and they write to this database: "
                    f"stop its workers first, then adopt {group_id}."
                )
                raise MigrationError(msg)
        await connection.execute(read_sql("upsert_consumer_group"), group_id)
    return old


async def count_members(settings: KafkaSettings, group_id: str) -> int:
    """Ask Kafka how many members a group has now; a group that Kafka does not know has none.

    Raises:
        MigrationError: Kafka does not answer, or refuses.

    """
    try:
        async with asyncio.timeout(KAFKA_SECONDS):
            return await _describe(settings, group_id)
    except (KafkaError, TimeoutError) as error:
        msg = (
            f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} does not say whether group {group_id} "
            f"has members ({type(error).__name__}): start Kafka, or correct the address."
        )
        raise MigrationError(msg) from error


async def _describe(settings: KafkaSettings, group_id: str) -> int:
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        answers = await admin.describe_consumer_groups([group_id])
        [group] = [found for answer in answers for found in answer.to_object()["groups"]]
    finally:
        await admin.close()
    if group["error_code"]:
        raise for_code(group["error_code"])
    return len(group["members"])
