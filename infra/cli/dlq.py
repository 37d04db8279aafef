"""`tokenflow dlq`: browse the dead letters. Everything is read from PostgreSQL, whose row decides (DESIGN: dead letters)."""

import asyncio
import logging
import sys
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import msgspec
import typer
from aiokafka.structs import TopicPartition

from consumers.engine.record import ErrorKind
from infra.cli import addresses
from infra.cli.console import console
from infra.cli.dead_letters import letter_table, letter_text, set_aside_text
from infra.errors import ExpectedError
from infra.postgres.dead_letters import list_dead_letters, read_dead_letter
from infra.set_aside.aside import set_aside
from topics.connection import KafkaConnectionError
from topics.settings import KafkaSettings, load_settings

app = typer.Typer(
    help="The dead letters: records that will not be tried again by themselves. Browse them, or make one.",
    no_args_is_help=True,
)


@app.command("list")
def list_letters(
    kind: Annotated[ErrorKind | None, typer.Option(help="Only dead letters of this error kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line, for jq.")] = False,
) -> None:
    """List the newest dead letters, newest first."""
    letters = asyncio.run(list_dead_letters(addresses.database_url(), kind=kind, limit=limit))
    if json:
        for letter in letters:
            typer.echo(msgspec.json.encode(asdict(letter)))
    elif letters:
        console().print(letter_table(letters))
    else:
        typer.echo("no dead letters" + (f" of kind {kind}" if kind else ""))


@app.command()
def show(
    record_id: Annotated[UUID, typer.Argument(help="The record id, as `tokenflow dlq list` prints it.")],
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the original value to standard output, and nothing else.")
    ] = False,
) -> None:
    """Show everything that was kept of one dead letter."""
    found = asyncio.run(read_dead_letter(addresses.database_url(), record_id))
    if found is None:
        typer.echo(f"There is no dead letter of record {record_id}: see `tokenflow dlq list`.", err=True)
        raise typer.Exit(1)
    letter, original = found
    if not raw:
        typer.echo(letter_text(letter, original))
    elif original.payload is None:
        typer.echo("The value of this record is null: there is nothing to write.", err=True)
    else:
        sys.stdout.buffer.write(original.payload)
        sys.stdout.buffer.flush()


@app.command("set-aside")
def set_aside_record(
    topic: Annotated[str, typer.Argument(help="Topic that workers read.")],
    partition: Annotated[int, typer.Argument(min=0, max=2**31 - 1, help="Partition, from 0.")],
    offset: Annotated[int, typer.Argument(min=0, max=2**63 - 1, help="Offset of the record.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the dead letter.")] = "set aside by an operator",
) -> None:
    """Make a dead letter of one record before it is processed, so that no worker calls for it. Workers may run or not."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # one sentence of ours says it
    settings = load_settings(KafkaSettings).model_copy(update={"kafka_bootstrap_servers": _kafka()})
    try:
        done = asyncio.run(
            set_aside(settings, addresses.database_url(), TopicPartition(topic, partition), offset, reason=reason)
        )
    except KafkaConnectionError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(set_aside_text(done))


def _kafka() -> str:
    """Choose what KAFKA_BOOTSTRAP_SERVERS says, else the stack that runs from this folder."""
    found = addresses.of_settings().kafka_bootstrap_servers or addresses.of_running_stack().kafka_bootstrap_servers
    if found is None:
        msg = "Which Kafka? Run `tokenflow up` in this folder, or set KAFKA_BOOTSTRAP_SERVERS."
        raise ExpectedError(msg)
    return found
