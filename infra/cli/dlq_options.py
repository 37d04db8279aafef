"""The filters that every verb of `tokenflow dlq` takes, once."""

import functools
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final
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


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a filter in place of its parameter `wanted`, which gets what they say."""
    own = inspect.signature(command, eval_str=True).parameters
    options = inspect.signature(_make_filter, eval_str=True).parameters
    assert "wanted" in own, command  # noqa: S101 - a bug of ours otherwise

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(_make_filter(**{name: given.pop(name) for name in options}), **given)

    parameters = [*options.values(), *(each for name, each in own.items() if name != "wanted")]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _make_filter(
    *,
    kind: Kind = None,
    token: Token = None,
    job: Job = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    records: Records = None,
    redrives: Redrives = None,
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
