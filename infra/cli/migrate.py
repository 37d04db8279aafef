"""`tokenflow migrate`: bring the database to the schema of this version."""

import asyncio
import logging
from typing import Annotated, Final

import typer

from infra.postgres.adopt import adopt_group
from infra.postgres.migrate import connect, migrate, read_migrations
from infra.postgres.settings import MigrateSettings
from topics.settings import load_settings

PATIENCE_SECONDS: Final = 30.0


def migrate_command(
    adopt_group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Make this consumer group the database's owner; the old one must have no members."
        ),
    ] = None,
) -> None:
    """Apply the migrations that the database (DATABASE_URL) does not have yet."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would say is in our own sentence
    asyncio.run(_run(load_settings(MigrateSettings), adopt_group))


async def _run(settings: MigrateSettings, group_id: str | None) -> None:
    connection = await connect(settings.database_url.get_secret_value(), patience_seconds=PATIENCE_SECONDS)
    try:
        applied = await migrate(connection, read_migrations())
        for migration in applied:
            typer.echo(f"applied {migration.version:04}_{migration.name}")
        if not applied:
            typer.echo("nothing to migrate")
        if group_id is not None:
            old = await adopt_group(connection, settings, group_id)
            typer.echo(f"the database serves consumer group {group_id}" + (f" (before: {old})" if old else ""))
    finally:
        await connection.close()
