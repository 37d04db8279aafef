"""The filters that every verb of `tokenflow dlq` takes, once."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import typer

from consumers.engine.record import ErrorKind
from producer_api.redrive.filters import Filter, read_moment

MAX_NAMED: Final = 10_000

Kind = Annotated[ErrorKind | None, typer.Option(help="Only of this error kind.")]
Token = Annotated[str | None, typer.Option(help="Only of this token.")]
Job = Annotated[
    UUID | None,
    typer.Option(help="Only records that carried this job-id. What was cancelled is no dead letter, and is never redriven."),
]
Since = Annotated[str | None, typer.Option(help="Only since: 90s, 15m, 2h or 3d ago, or 2026-11-25T09:30 (UTC).")]
Until = Annotated[str | None, typer.Option(help="Only before: written as --since.")]
Text = Annotated[str | None, typer.Option(help="Only where the error message holds this, in either case.")]
Records = Annotated[list[UUID] | None, typer.Option("--record", help="Only this record; repeat it for a selection.")]
Redrives = Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Only what was redriven so many times.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for jq.")]


def make_filter(
    *,
    kind: ErrorKind | None,
    token: str | None,
    job: UUID | None,
    since: str | None,
    until: str | None,
    text: str | None,
    records: list[UUID] | None,
    redrives: int | None,
) -> Filter:
    """Make the filter of the options. Raises typer.BadParameter."""
    for name, given in (("--token", token), ("--text", text)):
        if given is not None and "\0" in given:
            raise typer.BadParameter("it holds a NUL, which PostgreSQL does not keep", param_hint=name)
    if records and len(records) > MAX_NAMED:
        raise typer.BadParameter(f"at most {MAX_NAMED:,} records: use a filter", param_hint="--record")
    return Filter(
        kind=kind,
        token=token,
        job=job,
        since=_moment(since, "--since"),
        until=_moment(until, "--until"),
        text=text,
        records=tuple(records or ()),
        redrives=redrives,
    )


def _moment(text: str | None, option: str) -> datetime | None:
    try:
        return None if text is None else read_moment(text, now=datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
