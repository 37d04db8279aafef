"""Runs an operation from a terminal: under its lease, with its progress; Ctrl-C stops it after the batch in hand."""

import asyncio
import os
import pwd
import signal
import time
from dataclasses import replace
from typing import Final
from uuid import UUID

import typer

from infra.cli.dlq_text import operation_text
from infra.postgres.dead_letters import dead_letter_tables
from producer_api.redrive.operations import Operation, Order, begin, dry_run, find, new_holder, resume
from producer_api.redrive.redriver import Redriver
from topics.settings import KafkaSettings

SHOWN_SECONDS: Final = 1.0


def who_i_am() -> str:
    """Name the user of this process; a container's may have no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


async def begin_and_run(settings: KafkaSettings, url: str, order: Order) -> Operation | None:
    """Write the audit row and run the operation; return how it ended. None: there is nothing to do."""
    async with dead_letter_tables(url) as fetch:
        groups = await dry_run(fetch, order)
        if not any(group.selected for group in groups):
            return None
        operation = await begin(fetch, order, groups=groups, holder=new_holder())
    return await run(settings, url, operation)


async def resume_and_run(settings: KafkaSettings, url: str, operation_id: UUID) -> Operation | None:
    """Go on with an operation; None: another runs it now, or it is done, or there is none."""
    async with dead_letter_tables(url) as fetch:
        operation = await resume(fetch, operation_id, holder=new_holder())
    return None if operation is None else await run(settings, url, operation)


async def run(settings: KafkaSettings, url: str, operation: Operation) -> Operation:
    """Run an operation that this process holds, and show its progress; return how it ended."""
    typer.echo(f"operation {operation.id}", err=True)
    redriver = Redriver(settings, url, operation)
    work = asyncio.create_task(redriver.run(), name="run an operation")
    _stop_on_signals(redriver, work)
    try:
        await _show(url, operation, redriver, work)
    finally:
        if not work.done():
            work.cancel()
        await asyncio.wait((work,))
    if not work.cancelled():
        work.result()
    async with dead_letter_tables(url) as fetch:
        return await find(fetch, operation.id) or operation


def _stop_on_signals(redriver: Redriver, work: "asyncio.Task[None]") -> None:
    """First signal: stop after the batch in hand. Second: now; another process produces that batch."""
    asked: list[int] = []

    def interrupt() -> None:
        asked.append(1)
        if len(asked) > 1:
            work.cancel()
            return
        typer.echo("\nstopping after the batch in hand; Ctrl-C again leaves it to `--resume`", err=True)
        redriver.stop_soon(who_i_am())

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)


async def _show(url: str, operation: Operation, redriver: Redriver, work: "asyncio.Task[None]") -> None:
    """Write the progress whenever it moved, at most once a second, until the work is over: what is acknowledged."""
    began, before, shown = time.monotonic(), -1, ""
    async with dead_letter_tables(url) as fetch:
        while not work.done():
            await asyncio.wait((work,), timeout=SHOWN_SECONDS)
            now, done = await find(fetch, operation.id), redriver.acknowledged
            if now is None or (done == before and redriver.waits_for == shown):
                continue
            before, shown = done, redriver.waits_for
            rate = done / max(0.001, time.monotonic() - began)
            line = f"{operation_text(replace(now, produced=min(now.produced, operation.produced + done)))}, {rate:,.0f}/s"
            typer.echo(f"{line}; {shown}" if shown else line, err=True)
