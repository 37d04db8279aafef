"""`tokenflow dlq`: browse the dead letters. Everything is read from PostgreSQL, whose row decides (DESIGN: dead letters)."""

import asyncio
import sys
from dataclasses import asdict
from typing import Annotated, Final
from uuid import UUID

import msgspec
import typer
from rich.console import Console

from consumers.engine.record import ErrorKind
from infra.cli import addresses
from infra.cli.dead_letters import letter_table, letter_text
from infra.errors import ExpectedError
from infra.postgres.dead_letters import list_dead_letters, read_dead_letter

WIDTH: Final = 80
"""Where the output is not a terminal: a file, a pipe."""

app = typer.Typer(help="Browse the dead letters: records that will not be tried again by themselves.", no_args_is_help=True)


@app.command("list")
def list_letters(
    kind: Annotated[ErrorKind | None, typer.Option(help="Only dead letters of this error kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line, for jq.")] = False,
) -> None:
    """List the newest dead letters, newest first."""
    letters = asyncio.run(list_dead_letters(_database_url(), kind=kind, limit=limit))
    if json:
        for letter in letters:
            typer.echo(msgspec.json.encode(asdict(letter)))
    elif letters:
        _console().print(letter_table(letters))
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
    found = asyncio.run(read_dead_letter(_database_url(), record_id))
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


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def _database_url() -> str:
    """Choose what DATABASE_URL says, else the stack that runs from this folder."""
    found = addresses.of_settings().database_url or addresses.of_running_stack().database_url
    if found is None:
        msg = "Which database? Run `tokenflow up` in this folder, or set DATABASE_URL."
        raise ExpectedError(msg)
    return found
