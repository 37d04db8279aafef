"""What `tokenflow dlq` shows of many dead letters at once: by error, and what operators did. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from infra.cli.console import moment, printable
from producer_api.redrive.letters import ErrorGroup, Stats
from producer_api.redrive.operations import Group, Operation, filter_text

COUNT_WIDTH: Final = 11
SHARE: Final = 1.5
"""More than half as many again is growing; the other way round is fading."""


def stats_headline(stats: Stats) -> str:
    """Say how many there are, and how many are on their way again."""
    counts = stats.states
    parts = [f"{counts.get('open', 0):,} open"]
    parts += [f"{counts[state]:,} {state}" for state in ("redriving", "redriven") if counts.get(state)]
    return f"dead letters: {', '.join(parts)}"


def stats_table(groups: Sequence[ErrorGroup], *, now: datetime) -> Table:
    """Lay the errors out, three lines each; fits into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("how many", justify="right", no_wrap=True, width=COUNT_WIDTH)
    table.add_column("error\nsince when, and whether it grows\none of them", no_wrap=True, overflow="ellipsis", ratio=1)
    for group in groups:
        since = f"{ago(group.first, now)} to {ago(group.last, now)} ago; {trend(group)}"
        what = f"{group.error_kind}: {printable(group.error_group)}"
        table.add_row(f"{group.letters:,}", Text(f"{what}\n{since}\nrecord {group.example}"))
    return table


def trend(group: ErrorGroup) -> str:
    """Say whether it grows: the last five minutes, or the last hour, against those before."""
    if group.last_5_minutes or group.before_5_minutes:
        return _trend(group.last_5_minutes, group.before_5_minutes, "5 min")
    if group.last_hour or group.before_hour:
        return _trend(group.last_hour, group.before_hour, "1 h")
    return "none for 2 h"


def _trend(now: int, before: int, span: str) -> str:
    if now > before * SHARE:
        word = "growing"
    elif before > now * SHARE:
        word = "fading" if now else "over"
    else:
        word = "steady"
    return f"{word}: {now:,} in the last {span}, {before:,} before"


def ago(at: datetime, now: datetime) -> str:
    """Write how long ago a moment was, in its largest unit."""
    seconds = max(0, int((now - at).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def groups_table(groups: Sequence[Group], *, verb: str) -> Table:
    """Lay out what an operation would take; what the loop guard refuses stands beside it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column(verb, justify="right", no_wrap=True, width=COUNT_WIDTH)
    table.add_column("refused", justify="right", no_wrap=True, width=COUNT_WIDTH)
    table.add_column("error", no_wrap=True, overflow="ellipsis", ratio=1)
    for group in groups:
        error = Text(f"{group.error_kind}: {printable(group.error_group)}")
        table.add_row(f"{group.selected:,}", f"{group.refused:,}" if group.refused else "-", error)
    return table


def operations_table(operations: Sequence[Operation]) -> Table:
    """Lay operations out, three lines each; fits into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("operation\nwhen (UTC), by whom", no_wrap=True, overflow="ellipsis", width=36)
    table.add_column("what, and how far\nfilter", no_wrap=True, overflow="ellipsis", ratio=1)
    for each in operations:
        far = f"{each.action} {each.status}: {each.produced:,} of {each.selected:,}"
        far += f", {each.refused:,} refused" if each.refused else ""
        what = printable(filter_text(each.filter) if each.action != "replay" else each.filter)
        table.add_row(
            Text(f"{each.id}\n{moment(each.at)}, {printable(each.who)}"),
            Text("\n".join(filter(None, (far, what, printable(each.note))))),
        )
    return table


def operation_text(operation: Operation) -> str:
    """Say in one line how far an operation is, or what became of it."""
    done = "deleted" if operation.action == "drop" else "sent again"
    text = f"{operation.action} {operation.status}: {operation.produced:,} of {operation.selected:,} {done}"
    if operation.refused:
        text += f", {operation.refused:,} refused"
    return text + (f" ({printable(operation.note)})" if operation.note else "")
