"""`tokenflow down`: stop the stack of this folder, from any terminal."""

import asyncio
import os
import signal
import time
from typing import Final
from urllib.parse import urlsplit

import typer

from infra.local.own_parts import ask_calls
from infra.local.parent import Parent, parent_of
from infra.local.parts import Calls
from infra.local.probe import Endpoint
from infra.local.state import StateFolder
from infra.local.stopping import farewell

BESIDE_DRAIN_SECONDS: Final = 150.0
"""What the parts may take together beside the workers' drain, each at its own deadline."""
DRAIN_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1


def down() -> None:
    """Stop the stack of this folder; calls in flight are finished first."""
    state = StateFolder.here()
    parent = parent_of(state)
    if parent is None:
        typer.echo(f"Nothing runs from {state.root}.")
        return
    calls = asyncio.run(_calls(state))
    limit = max((answer.drain_limit_seconds for answer in calls), default=DRAIN_SECONDS)
    began = time.monotonic()
    try:
        os.kill(parent.pid, signal.SIGTERM)
    except PermissionError as error:
        typer.echo(f"The stack runs as another user (process {parent.pid}): stop it as that user.", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{farewell(calls)}  (process {parent.pid})")
    if not _gone(parent, deadline=began + limit + BESIDE_DRAIN_SECONDS):
        typer.echo(
            f"Process {parent.pid} still runs: its screen, or .tokenflow/logs/up.log, says what it waits for.", err=True
        )
        raise typer.Exit(1)
    typer.echo(f"stopped after {time.monotonic() - began:.1f} s")


async def _calls(state: StateFolder) -> list[Calls]:
    """Ask the workers of the stack what they have to finish; those that do not answer are left out."""
    addresses = state.read_addresses()
    urls = [] if addresses is None else [url for name, url in addresses.urls.items() if name.startswith("worker-")]
    answers = await asyncio.gather(*(ask_calls(_endpoint(url)) for url in urls))
    return [answer for answer in answers if answer is not None]


def _endpoint(url: str) -> Endpoint:
    parts = urlsplit(url)
    return Endpoint(parts.hostname or "", parts.port or 0)


def _gone(parent: Parent, *, deadline: float) -> bool:
    while parent.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
