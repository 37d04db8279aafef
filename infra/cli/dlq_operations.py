"""`tokenflow dlq redrive|drop|operations`: what is done to many dead letters at once, with an audit row."""

import asyncio
import logging
import sys
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from infra.cli import addresses
from infra.cli import dlq_options as options
from infra.cli.console import console
from infra.cli.dlq_run import begin_and_run, resume_and_run, who_i_am
from infra.cli.dlq_text import groups_table, operation_text, operations_table
from infra.errors import ExpectedError
from infra.postgres.dead_letters import dead_letter_tables
from producer_api.redrive.filters import Filter
from producer_api.redrive.operations import MAX_REDRIVES, Group, Operation, Order, dry_run, find, list_operations, stop
from topics.settings import KafkaSettings, load_settings

app = typer.Typer()
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would take, by error, and change nothing.")]
Rate = Annotated[
    float | None, typer.Option(min=0.001, max=1_000_000, help="Records a second, evenly; else as fast as it goes.")
]


@app.command()
@options.filtered
def redrive(
    wanted: Filter,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every open dead letter; asked for where no filter is given.")
    ] = False,
    rate: Rate = None,
    max_redrives: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Refuse what was redriven so many times already.")
    ] = MAX_REDRIVES,
    dry: DryRun = False,
    resume: Annotated[UUID | None, typer.Option(help="Go on with this operation, which was stopped or left.")] = None,
    stop_id: Annotated[UUID | None, typer.Option("--stop", help="Stop this operation, wherever it runs.")] = None,
) -> None:
    """Send dead letters again, with their original bytes; what fails again meanwhile is not sent again.

    Ctrl-C stops after the batch in hand. After a crash any API process goes on, or --resume: no loss, no second call.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # one sentence of ours says it
    if stop_id is not None:
        return _stop(stop_id)
    if resume is not None:
        return _resume(resume)
    if wanted.is_empty and not every and not dry:
        raise typer.BadParameter("name what to redrive by a filter, or say --all", param_hint="--all")
    order = Order("redrive", wanted, who_i_am(), rate, max_redrives)
    if dry:
        return _show_groups(order, verb="to redrive")
    return _carry_out(order, nothing="no open dead letter matches: nothing to redrive")


@app.command()
@options.filtered
def drop(
    wanted: Filter,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every open dead letter; asked for where no filter is given.")
    ] = False,
    rate: Rate = None,
    dry: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete dead letters, bytes and all; asks first. Their outcomes stay dead_lettered, the audit row stays."""
    if wanted.is_empty and not every and not dry:
        raise typer.BadParameter("name what to drop by a filter, or say --all", param_hint="--all")
    order = Order("drop", wanted, who_i_am(), rate)
    if dry:
        return _show_groups(order, verb="to drop")
    if not yes:
        _ask(order)
    return _carry_out(order, nothing="no open dead letter matches: nothing to drop")


@app.command()
def operations(
    operation_id: Annotated[UUID | None, typer.Argument(help="Only this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    json: options.AsJson = False,
) -> None:
    """List what was redriven, dropped and replayed: who, when, which, how many, how far. Newest first."""
    found = asyncio.run(_operations(operation_id, limit))
    if json:
        for each in found:
            typer.echo(msgspec.json.encode({**asdict(each), "filter": msgspec.Raw(each.filter.encode())}))
    elif found:
        console().print(operations_table(found))
    else:
        typer.echo("no operations")


def kafka_settings() -> KafkaSettings:
    """Choose the Kafka of KAFKA_BOOTSTRAP_SERVERS, else of the stack that runs from this folder. Raises ExpectedError."""
    found = addresses.of_settings().kafka_bootstrap_servers or addresses.of_running_stack().kafka_bootstrap_servers
    if found is None:
        raise ExpectedError("Which Kafka? Run `tokenflow up` in this folder, or set KAFKA_BOOTSTRAP_SERVERS.")
    return load_settings(KafkaSettings).model_copy(update={"kafka_bootstrap_servers": found})


def _carry_out(order: Order, *, nothing: str) -> None:
    ended = asyncio.run(begin_and_run(kafka_settings(), addresses.database_url(), order))
    if ended is None:
        refused = sum(group.refused for group in asyncio.run(_groups(order)))
        why = f" ({refused:,} were redriven {order.max_redrives} times or more: see --max-redrives)" if refused else ""
        typer.echo(f"{nothing}{why}")
        return
    _say(ended)


def _resume(operation_id: UUID) -> None:
    url = addresses.database_url()
    ended = asyncio.run(resume_and_run(kafka_settings(), url, operation_id))
    if ended is None:
        (now,) = asyncio.run(_operations(operation_id, 1)) or (None,)
        what = "there is no such operation" if now is None else operation_text(now)
        typer.echo(
            f"{operation_id} cannot be resumed: {what}; one that runs has a holder for 10 s after it is gone.", err=True
        )
        raise typer.Exit(1)
    _say(ended)


def _stop(operation_id: UUID) -> None:
    if not asyncio.run(_order_stop(operation_id)):
        typer.echo(f"{operation_id} does not run: see `tokenflow dlq operations`.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{operation_id} is stopped: it ends after the batch in hand; --resume {operation_id} goes on")


def _say(ended: Operation) -> None:
    """Say how it ended; exit code 1 where it was not done."""
    typer.echo(operation_text(ended))
    if ended.status == "stopped" and ended.action == "redrive":
        typer.echo(f"to go on: tokenflow dlq redrive --resume {ended.id}")
    raise typer.Exit(0 if ended.status == "done" else 1)


def _show_groups(order: Order, *, verb: str) -> None:
    groups = asyncio.run(_groups(order))
    selected, refused = sum(group.selected for group in groups), sum(group.refused for group in groups)
    if groups:
        console().print(groups_table(groups, verb=verb))
    more = f"; {refused:,} refused: redriven {order.max_redrives} times or more (--max-redrives)" if refused else ""
    typer.echo(f"dry run: {selected:,} {verb}{more}; nothing was changed")


def _ask(order: Order) -> None:
    """Make sure that it is meant, by the number; only a terminal can answer."""
    count = sum(group.selected for group in asyncio.run(_groups(order)))
    if not count:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{count:,} dead letters would be deleted: nobody can be asked here", param_hint="--yes")
    typed = typer.prompt(f"{count:,} dead letters will be deleted for good. Type the number to go on")
    if typed.replace(",", "").strip() != str(count):
        typer.echo("nothing was deleted")
        raise typer.Exit(1)


async def _groups(order: Order) -> list[Group]:
    async with dead_letter_tables(addresses.database_url()) as fetch:
        return await dry_run(fetch, order)


async def _operations(operation_id: UUID | None, limit: int) -> list[Operation]:
    async with dead_letter_tables(addresses.database_url()) as fetch:
        if operation_id is None:
            return await list_operations(fetch, behind=None, limit=limit)
        found = await find(fetch, operation_id)
        return [] if found is None else [found]


async def _order_stop(operation_id: UUID) -> bool:
    async with dead_letter_tables(addresses.database_url()) as fetch:
        return await stop(fetch, operation_id, who=who_i_am())
