"""`tokenflow dlq`: dead letters one can work with. Everything is read from PostgreSQL, whose row decides."""

import asyncio
import csv
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import typer
from aiokafka.structs import TopicPartition

from infra.cli import addresses
from infra.cli import dlq_options as options
from infra.cli.console import console
from infra.cli.dead_letters import letter_table, letter_text, set_aside_text
from infra.cli.dlq_operations import app as operations_app
from infra.cli.dlq_operations import kafka_settings
from infra.cli.dlq_text import stats_headline, stats_table
from infra.postgres.dead_letters import dead_letter_tables
from infra.set_aside.aside import set_aside
from producer_api.redrive.filters import Filter
from producer_api.redrive.letters import (
    DeadLetter,
    Original,
    State,
    Stats,
    all_letters,
    exported,
    list_letters,
    read_letter,
    read_stats,
)
from topics.connection import KafkaConnectionError

CSV_FIELDS = [*DeadLetter.__dataclass_fields__, "key_base64", "key_text", "payload_base64", "payload_text", "headers"]

app = typer.Typer(
    help="The dead letters: records that will not be tried again by themselves. Begin with `stats`.",
    no_args_is_help=True,
)


@app.command("list")
@options.filtered
def list_command(
    wanted: Filter,
    *,
    state: Annotated[
        Literal["open", "redriving", "redriven", "all"], typer.Option(help="open: those that wait for somebody.")
    ] = "open",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 20,
    json: options.AsJson = False,
) -> None:
    """List the newest dead letters, newest first."""
    letters = asyncio.run(_list(wanted, None if state == "all" else state, limit))
    if json:
        for letter in letters:
            typer.echo(msgspec.json.encode(asdict(letter)))
    elif letters:
        console().print(letter_table(letters))
    elif wanted == Filter(kind=wanted.kind):
        typer.echo("no dead letters" + (f" of kind {wanted.kind}" if wanted.kind else ""))
    else:
        typer.echo("no dead letters match")


@app.command()
@options.filtered
def stats(
    wanted: Filter,
    *,
    json: options.AsJson = False,
) -> None:
    """Show what there is by error: how many, since when, growing or not, and one of each."""
    found = asyncio.run(_stats(wanted))
    if json:
        typer.echo(msgspec.json.encode(asdict(found)))
        return
    typer.echo(stats_headline(found))
    if found.groups:
        console().print(stats_table(found.groups, now=datetime.now(UTC)))


@app.command()
def show(
    record_id: Annotated[UUID, typer.Argument(help="The record id, as `tokenflow dlq list` prints it.")],
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the original value to standard output, and nothing else.")
    ] = False,
) -> None:
    """Show everything that was kept of one dead letter."""
    found = asyncio.run(_show(record_id))
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


@app.command()
@options.filtered
def export(
    wanted: Filter,
    *,
    format_: Annotated[Literal["ndjson", "csv"], typer.Option("--format", help="How it is written.")] = "ndjson",
) -> None:
    """Write open dead letters to standard output, oldest first: all that was kept, bytes as base64 and as text if UTF-8."""
    asyncio.run(_export(wanted, _csv_writer() if format_ == "csv" else _write_json))


@app.command("set-aside")
def set_aside_record(
    topic: Annotated[str, typer.Argument(help="Topic that workers read.")],
    partition: Annotated[int, typer.Argument(min=0, max=2**31 - 1, help="Partition, from 0.")],
    offset: Annotated[int, typer.Argument(min=0, max=2**63 - 1, help="Offset of the record.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the dead letter.")] = "set aside by an operator",
) -> None:
    """Make a dead letter of one record before it is processed, so that no worker calls for it. Workers may run or not."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # one sentence of ours says it
    settings = kafka_settings()
    try:
        done = asyncio.run(
            set_aside(settings, addresses.database_url(), TopicPartition(topic, partition), offset, reason=reason)
        )
    except KafkaConnectionError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(set_aside_text(done))


app.add_typer(operations_app)


async def _list(wanted: Filter, state: State | None, limit: int) -> list[DeadLetter]:
    async with dead_letter_tables(addresses.database_url()) as fetch:
        return await list_letters(fetch, wanted, state=state, limit=limit)


async def _stats(wanted: Filter) -> Stats:
    async with dead_letter_tables(addresses.database_url()) as fetch:
        return await read_stats(fetch, wanted)


async def _show(record_id: UUID) -> tuple[DeadLetter, Original] | None:
    async with dead_letter_tables(addresses.database_url()) as fetch:
        return await read_letter(fetch, record_id)


async def _export(wanted: Filter, write: Callable[[dict[str, Any]], None]) -> None:
    async with dead_letter_tables(addresses.database_url()) as fetch:
        async for letter, original in all_letters(fetch, wanted):
            write(exported(letter, original))


def _write_json(letter: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(letter) + b"\n")


def _csv_writer() -> Callable[[dict[str, Any]], None]:
    """Write the head; return what writes a line. Lines end with CR LF (RFC 4180); headers are a column of JSON."""
    writer = csv.DictWriter(sys.stdout, CSV_FIELDS)
    writer.writeheader()
    return lambda letter: writer.writerow({**letter, "headers": msgspec.json.encode(letter["headers"]).decode()})
