"""`tokenflow replay`: work on old records of the log again."""

import asyncio
import logging
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from infra.cli import addresses
from infra.cli.dlq_operations import kafka_settings
from infra.cli.dlq_run import who_i_am
from infra.errors import ExpectedError
from infra.postgres.dead_letters import dead_letter_tables
from infra.replay.asked import Asked, read_from_offset
from infra.replay.audited import Ended, replay
from infra.replay.run import Counts
from producer_api.redrive.filters import read_moment
from topics.connection import KafkaConnectionError

SHOWN_SECONDS: Final = 1.0


def replay_records(
    *,
    since: Annotated[
        str | None, typer.Option(help="Records since: 90s, 15m, 2h or 3d ago, or 2026-11-25T09:30 (UTC).")
    ] = None,
    from_offset: Annotated[
        list[str] | None, typer.Option(help="Records of a partition from an offset on, as in 3:1200; repeat it.")
    ] = None,
    job: Annotated[UUID | None, typer.Option(help="Only records that carried this job-id.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Only these tokens, one a line.", exists=True, dir_okay=False, readable=True)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Call for every one again, whatever is stored; costs all those calls.")
    ] = False,
    run: Annotated[
        UUID | None, typer.Option(help="Go on with a forced replay: what it has stored is not called again.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what it would produce, and change nothing.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.001, max=1_000_000, help="Records a second, evenly; else as fast as it goes.")
    ] = None,
) -> None:
    """Produce records of the log again, below the committed offsets, whose outcome was lost or is no success.

    What has its answer stored is not called again. The group and its offsets are not touched, workers may run. Safe to
    repeat, after Ctrl-C or a crash too.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # one sentence of ours says it
    if run is not None and not force:
        raise typer.BadParameter(
            "only a forced replay has ids of its own; the others are repeated as they are", param_hint="--run"
        )
    if since is not None and from_offset:
        raise typer.BadParameter("say one of --since and --from-offset", param_hint="--since")
    if since is None and not from_offset and job is None and token_file is None:
        raise typer.BadParameter("say what to replay: --since, --from-offset, --job or --token-file", param_hint="--since")
    asked = Asked(
        since_ms=_since(since),
        from_offsets=_from_offsets(from_offset or []),
        job=job,
        tokens=None if token_file is None else _tokens(token_file),
        force=force,
        rate=rate,
    )
    try:
        ended = asyncio.run(_run(asked, run_id=run, dry=dry))
    except KafkaConnectionError as error:
        how = " with --run" if force else ""
        raise ExpectedError(f"{error} Run the same replay again{how}, which is safe.") from error
    for saying in ended.sayings:
        typer.echo(saying, err=True)
    typer.echo(_told(ended, asked, dry=dry))
    if ended.stopped:
        raise typer.Exit(1)


async def _run(asked: Asked, *, run_id: UUID | None, dry: bool) -> Ended:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    settings = kafka_settings()
    async with dead_letter_tables(addresses.database_url()) as fetch:
        return await replay(
            settings,
            fetch,
            asked,
            who=who_i_am(),
            run_id=run_id,
            dry=dry,
            stopping=stopping,
            show=_Progress(_verb(dry=dry)),
            announce=_announce,
        )


def _announce(run: UUID) -> None:
    typer.echo(f"run {run}: should it be cut off, the same command with --run {run} goes on", err=True)


class _Progress:
    """Writes a line whenever a second has passed."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._next = time.monotonic() + SHOWN_SECONDS

    def __call__(self, counts: Counts) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SHOWN_SECONDS
            typer.echo(f"{counts.read:,} read, {counts.produced:,} {self._verb}", err=True)


def _verb(*, dry: bool) -> str:
    return "would be produced" if dry else "produced"


def _told(ended: Ended, asked: Asked, *, dry: bool) -> str:
    counts = ended.counts
    verb = _verb(dry=dry)
    if asked.force:
        lines = [f"{counts.read:,} records read, {counts.produced:,} {verb} under new ids"]
    else:
        lines = [
            f"{counts.read:,} records read, {counts.produced:,} {verb}:",
            f"  {counts.missing:>9,}  without a row, under their own ids",
            f"  {counts.again:>9,}  failed, or retrying with no copy to come: redriven",
            f"left alone: {counts.stored:,} stored, {counts.to_come:,} retrying with a copy to come",
        ]
    if counts.copies:
        lines.append(f"{counts.copies:,} were copies of one of these")
    if counts.changed:
        lines.append(f"{counts.changed:,} changed meanwhile: a worker was there first")
    if counts.refused:
        lines.append(f"{counts.refused:,} were refused by the topic for their size: set its max.message.bytes higher")
    if ended.stopped:
        again = f" --run {ended.run_id}" if asked.force else ""
        lines.append(f"stopped before the end: run the same replay again{again}")
    elif asked.force and ended.run_id is not None:
        lines.append(f"run {ended.run_id}")
    return "\n".join(lines)


def _since(text: str | None) -> int | None:
    try:
        return None if text is None else int(read_moment(text, now=datetime.now(UTC)).timestamp() * 1000)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def _from_offsets(texts: list[str]) -> dict[int, int]:
    try:
        return dict(read_from_offset(text) for text in texts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from-offset") from error


def _tokens(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path} is not UTF-8: {error}", param_hint="--token-file") from error
    tokens = frozenset(line.strip() for line in lines if line.strip())
    if not tokens:
        raise typer.BadParameter(f"{path} names no token", param_hint="--token-file")
    return tokens
