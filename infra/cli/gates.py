"""`tokenflow gates`: what holds calls back, and orders to stop and resume them, by way of PostgreSQL."""

import asyncio
import os
import pwd
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from consumers.engine.gates import GateName
from infra.cli import addresses
from infra.cli.console import console
from infra.cli.gates_text import done_text, gate_table
from infra.postgres.gates import gate_tables
from producer_api.gate_orders import PROVIDER, ClosedGate, Done, Order, carry_out, list_closed_gates

MAX_WHY = 500

app = typer.Typer(
    help="What holds calls back. What waits behind a closed gate stays in Kafka or ready, and spends no attempt.",
    no_args_is_help=True,
)
Who = Annotated[str | None, typer.Option(help="Who orders it; this user of the system when absent.")]
Provider = Annotated[str, typer.Option(help="Name of the external API.")]


@app.command("list")
def list_gates(
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line, for jq.")] = False,
) -> None:
    """List the gates that are closed."""
    closed = asyncio.run(_list(addresses.database_url()))
    if json:
        for each in closed:
            typer.echo(msgspec.json.encode(asdict(each)))
    elif closed:
        console().print(gate_table(closed))
    else:
        typer.echo("all gates are open")


@app.command("open")
def open_gates(
    gate: Annotated[GateName | None, typer.Argument(help="Which one; every gate that is closed when absent.")] = None,
    provider: Provider = PROVIDER,
    why: Annotated[str, typer.Option(help="Why, for whoever reads the orders.")] = "",
    who: Who = None,
) -> None:
    """Let calls through again. What closed the gate may close it again."""
    _order(Order("open", gate, _short(why), who or _user(), provider))


@app.command("close")
def close_gate(
    why: Annotated[str, typer.Option(help="Why, for whoever finds the gate closed.")],
    provider: Provider = PROVIDER,
    who: Who = None,
) -> None:
    """Hold every call back, also of workers that start later, until the gate `operator` is opened. Running calls go on."""
    if not why.strip():
        raise typer.BadParameter("say why, for whoever finds the gate closed", param_hint="--why")
    _order(Order("close", GateName.OPERATOR, _short(why), who or _user(), provider))


async def _list(database_url: str) -> list[ClosedGate]:
    async with gate_tables(database_url) as fetch:
        return await list_closed_gates(fetch)


def _order(order: Order) -> None:
    """Give an order and say what became of it; exit code 1 where a live worker has not carried it out."""
    done = asyncio.run(_carry_out(addresses.database_url(), order))
    typer.echo(done_text(done, asked=order.gate), err=bool(done.waiting))
    raise typer.Exit(1 if done.waiting else 0)


async def _carry_out(database_url: str, order: Order) -> Done:
    async with gate_tables(database_url) as fetch:
        return await carry_out(fetch, order)


def _short(why: str) -> str:
    if len(why) > MAX_WHY:
        raise typer.BadParameter(f"at most {MAX_WHY} characters", param_hint="--why")
    return why


def _user() -> str:
    """Name the user of this process; a container's may have no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
