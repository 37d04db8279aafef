"""Migrations on a real PostgreSQL, and the group that a database serves."""

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.postgres.migrate import Migration, MigrationError, connect, migrate, read_migrations
from tests.support.services import drop_database, execute, free_ports, with_database

COMMAND_SECONDS = 60
ONE = Migration(1, "one", "CREATE TABLE one (x int)")
TWO = Migration(2, "two", "CREATE TABLE two (x int); INSERT INTO two VALUES (1)")
BROKEN = Migration(2, "broken", "CREATE TABLE half (x int); SELECT 1 / 0")


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[str]:
    """URL of a database with nothing in it."""
    name = f"test_{uuid.uuid4().hex}"
    await execute(database_url, f'CREATE DATABASE "{name}"')
    yield with_database(database_url, name)
    await drop_database(database_url, name)


async def run(url: str, *migrations: Migration) -> list[int]:
    """Migrate on a connection of its own; return the versions that were applied."""
    connection = await connect(url, patience_seconds=5)
    try:
        return [each.version for each in await migrate(connection, migrations)]
    finally:
        await connection.close()


async def fetch(url: str, query: str) -> list[asyncpg.Record]:
    """Ask the database."""
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def command(url: str, *arguments: str, kafka: str = "127.0.0.1:9") -> "subprocess.CompletedProcess[str]":
    """Run `tokenflow migrate` as people do."""
    environment = {**os.environ, "DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": kafka}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "infra.cli", "migrate", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )


async def test_each_file_is_applied_once_and_noted(empty_database: str) -> None:
    """A second run finds nothing to do; a new file is applied alone."""
    assert await run(empty_database, ONE) == [1]
    assert await run(empty_database, ONE) == []
    assert await run(empty_database, ONE, TWO) == [2]
    rows = await fetch(empty_database, "SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
    assert [tuple(row) for row in rows] == [(1, "one", ONE.sha256), (2, "two", TWO.sha256)]


async def test_of_many_that_migrate_at_once_one_does_it(empty_database: str) -> None:
    """Every worker of a deployment may migrate at its start."""
    results = await asyncio.gather(*(run(empty_database, ONE, TWO) for _ in range(8)))
    assert sorted(results) == [[]] * 7 + [[1, 2]]
    assert len(await fetch(empty_database, "SELECT * FROM two")) == 1


async def test_a_migration_that_fails_leaves_nothing_of_itself(empty_database: str) -> None:
    """Its file and the database's words are named; what came before it stays; mended, it is applied."""
    with pytest.raises(MigrationError, match=r"0002_broken\.sql fails on this database: division by zero"):
        await run(empty_database, ONE, BROKEN)
    [row] = await fetch(empty_database, "SELECT to_regclass('half') AS half")
    assert row["half"] is None
    assert await run(empty_database, ONE, TWO) == [2]


async def test_a_change_and_its_note_are_one(empty_database: str) -> None:
    """A migration that cannot be noted has not happened, or it would be applied twice."""
    spoilsport = Migration(1, "one", "CREATE TABLE half (x int); ALTER TABLE schema_migrations RENAME TO gone")
    with pytest.raises(asyncpg.UndefinedTableError):
        await run(empty_database, spoilsport)
    assert await run(empty_database, Migration(1, "one", "CREATE TABLE half (x int)")) == [1]


async def test_a_changed_file_and_a_newer_database_are_refused(empty_database: str) -> None:
    """Nothing is applied then."""
    await run(empty_database, ONE, TWO)
    with pytest.raises(MigrationError, match="changed"):
        await run(empty_database, Migration(1, "one", "CREATE TABLE other ()"), TWO, Migration(3, "three", "SELECT 1"))
    with pytest.raises(MigrationError, match="newer"):
        await run(empty_database, ONE)
    assert len(await fetch(empty_database, "SELECT * FROM schema_migrations")) == 2


async def test_the_command_says_what_it_applied(empty_database: str) -> None:
    """And, the second time, that there was nothing to do."""
    first, second = await command(empty_database), await command(empty_database)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    names = [path.stem for path in sorted((Path(__file__).parents[2] / "infra/postgres/migrations").glob("*.sql"))]
    assert re.findall(r"applied (\S+)", first.stdout) == names
    assert second.stdout == "nothing to migrate\n"


async def test_a_database_that_refuses_us_is_one_sentence(database_url: str) -> None:
    """A wrong database name is not waited for, and the password is not shown."""
    done = await command(with_database(database_url, "no_such_database"))
    assert done.returncode == 2
    assert re.fullmatch(r'DATABASE_URL: .*database "no_such_database" does not exist.*\n', done.stderr)


async def test_a_database_that_does_not_answer_is_waited_for_and_then_named() -> None:
    """The text says which setting; the password is not in it."""
    with pytest.raises(MigrationError, match="DATABASE_URL: the database cannot be reached") as caught:
        await connect(f"postgresql://u:hunter2@127.0.0.1:{free_ports(1)[0]}/d", patience_seconds=0.5)
    assert "hunter2" not in str(caught.value)


async def test_a_group_is_adopted_only_when_the_old_one_has_no_members(
    empty_database: str, kafka: str, topic_base: str
) -> None:
    """Two groups on one database would pay for every token twice."""
    old, new = f"{topic_base}-old", f"{topic_base}-new"
    assert (await command(empty_database, "--adopt-group", old, kafka=kafka)).stdout.endswith(f"consumer group {old}\n")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic_base, 1, 1)])
    await admin.close()

    async with AIOKafkaConsumer(topic_base, bootstrap_servers=kafka, group_id=old):
        refused = await command(empty_database, "--adopt-group", new, kafka=kafka)
        again = await command(empty_database, "--adopt-group", old, kafka=kafka)
    assert refused.returncode == 2
    assert f"group {old} still has 1 members" in refused.stderr
    assert again.returncode == 0, again.stderr

    adopted = await command(empty_database, "--adopt-group", new, kafka=kafka)
    assert adopted.stdout.endswith(f"the database serves consumer group {new} (before: {old})\n"), adopted.stderr
    assert [row["group_id"] for row in await fetch(empty_database, "SELECT group_id FROM consumer_group")] == [new]


async def test_a_group_is_not_adopted_while_kafka_cannot_be_asked(empty_database: str, topic_base: str) -> None:
    """Not knowing is not "no members"."""
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    await command(empty_database, "--adopt-group", topic_base, kafka=nowhere)
    done = await command(empty_database, "--adopt-group", "another", kafka=nowhere)
    assert done.returncode == 2
    assert done.stderr.startswith(f"KAFKA_BOOTSTRAP_SERVERS={nowhere} does not say")


def test_our_migrations_are_those_that_a_test_database_has(database: str) -> None:
    """The template of every test is built by the real files."""
    rows = asyncio.run(fetch(database, "SELECT version FROM schema_migrations ORDER BY version"))
    assert [row["version"] for row in rows] == [each.version for each in read_migrations()]
