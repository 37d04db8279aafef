"""`tokenflow lag`: how far the group is behind, as a table, as JSON, or as the exporter that Prometheus scrapes."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

import msgspec
import typer

from infra.cli import addresses
from infra.errors import ExpectedError
from infra.lag.exporter import LagExporter
from infra.lag.settings import LagSettings
from topics.connection import KafkaConnectionError, calm_client_logs
from topics.lag import GroupLag, PartitionLag
from topics.lag_reader import LagError, LagReader
from topics.settings import load_settings

UNKNOWN: Final = "-"
"""As Kafka's own tool writes it."""
COLUMNS: Final = ("GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "LAG-SECONDS")
TEXT_COLUMNS: Final = 2
"""The first ones are text, aligned to the left; the rest are numbers."""


def lag(
    group: Annotated[str | None, typer.Option(help="Another group than KAFKA_GROUP_ID.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a reading, for jq.")] = False,
    watch: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Read again every so many seconds.")
    ] = None,
    listen: Annotated[bool, typer.Option("--listen", help="Serve /metrics and /health on LAG_EXPORTER_PORT.")] = False,
) -> None:
    """Show how far the group is behind: records and seconds by partition, in Kafka's own columns."""
    settings = _settings(group)
    if listen:
        if json or watch is not None:
            raise typer.BadParameter("the exporter prints nothing: leave --json and --watch out", param_hint="--listen")
        _serve(settings)
        return
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # one sentence of ours says it
    try:
        asyncio.run(_show(settings, json=json, watch_seconds=watch))
    except (KafkaConnectionError, LagError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def lag_table(reading: GroupLag) -> str:
    """Write one reading as Kafka's tool would, with seconds and a line of totals. Pure."""
    rows = [COLUMNS, *(_row(reading.group, each) for each in reading.partitions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join([*(_aligned(row, widths) for row in rows), totals(reading)])


def totals(reading: GroupLag) -> str:
    """Say in one line how many records wait, how old the oldest is, what was never committed, and who works. Pure."""
    never = sum(each.never_committed for each in reading.partitions)
    parts = [
        f"total lag {_text(reading.lag)} in {len(reading.partitions)} partitions",
        f"oldest {_seconds(reading.lag_seconds)} s",
        f"members {_text(reading.members)}",
        *([f"{never} partitions never committed"] if never else []),
    ]
    return ", ".join(parts)


def lag_json(reading: GroupLag) -> bytes:
    """Write one reading as a JSON object on one line; unknown is null. Pure."""
    return msgspec.json.encode({**asdict(reading), "lag": reading.lag, "lag_seconds": reading.lag_seconds})


async def _show(settings: LagSettings, *, json: bool, watch_seconds: float | None) -> None:
    reader = LagReader(settings)
    try:
        while True:
            await _show_once(reader, settings, json=json, go_on=watch_seconds is not None)
            if watch_seconds is None:
                return
            await asyncio.sleep(watch_seconds)
    finally:
        await reader.close()


async def _show_once(reader: LagReader, settings: LagSettings, *, json: bool, go_on: bool) -> None:
    """Print one reading. Who watches is told of a failure and sees the next reading; else it is raised."""
    try:
        reading = await _of_topics(reader, settings)
    except (KafkaConnectionError, LagError) as error:
        if not go_on:
            raise
        typer.echo(str(error), err=True)
    else:
        typer.echo(lag_json(reading) if json else lag_table(reading))


async def _of_topics(reader: LagReader, settings: LagSettings) -> GroupLag:
    """Read, and refuse a reading of nothing: an empty table would look like an empty queue."""
    reading = await reader.read()
    if not reading.partitions:
        raise LagError(f"There is no topic {settings.tokens_topic}: run `tokenflow topics create`, or correct TOKENS_TOPIC.")
    return reading


def _serve(settings: LagSettings) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    calm_client_logs()
    asyncio.run(LagExporter(settings).run())


def _settings(group: str | None) -> LagSettings:
    """Build the settings, with the Kafka that KAFKA_BOOTSTRAP_SERVERS names, else the stack that runs from this folder."""
    found = addresses.of_settings().kafka_bootstrap_servers or addresses.of_running_stack().kafka_bootstrap_servers
    if found is None:
        msg = "Which Kafka? Run `tokenflow up` in this folder, or set KAFKA_BOOTSTRAP_SERVERS."
        raise ExpectedError(msg)
    changes = {"kafka_bootstrap_servers": found, **({} if group is None else {"kafka_group_id": group})}
    return load_settings(LagSettings).model_copy(update=changes)


def _row(group: str, each: PartitionLag) -> tuple[str, ...]:
    offsets = (each.committed_offset, each.end_offset, each.lag)
    return (group, each.topic, str(each.partition), *map(_text, offsets), _seconds(each.lag_seconds))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.ljust(width) if column < TEXT_COLUMNS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells)


def _text(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"
