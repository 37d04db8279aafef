"""What `/dlq` takes and answers."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from producer_api.redrive.filters import Filter, read_moment
from producer_api.redrive.operations import MAX_REDRIVES

MAX_NAMED = 10_000


def _moment(text: str) -> str:
    read_moment(text, now=datetime.now(UTC))
    return text


def _keepable(text: str) -> str:
    if "\0" in text:
        msg = "it holds a NUL, which PostgreSQL does not keep"
        raise ValueError(msg)
    return text


Moment = Annotated[str, AfterValidator(_moment)]
Text = Annotated[str, AfterValidator(_keepable)]


class FilterDocument(BaseModel):
    """Which dead letters: all that is said must match; nothing said = every one."""

    model_config = ConfigDict(extra="forbid")

    kind: Text | None = Field(None, description="Error kind: rejected, transient, malformed, ...")
    token: Text | None = None
    job: UUID | None = Field(None, description="job-id that the record carried.")
    since: Moment | None = Field(None, description="90s, 15m, 2h or 3d ago, or 2026-11-25T09:30 (UTC).")
    until: Moment | None = Field(None, description="Before; written as `since`.")
    text: Text | None = Field(None, description="Held by the error message, in either case.")
    records: list[UUID] = Field([], max_length=MAX_NAMED, description="Only these record ids.")
    redrives: int | None = Field(None, ge=0, le=2**31 - 1, description="Redriven so many times.")

    def to_filter(self) -> Filter:
        """Make the filter."""
        now = datetime.now(UTC)
        return Filter(
            kind=self.kind,
            token=self.token,
            job=self.job,
            since=None if self.since is None else read_moment(self.since, now=now),
            until=None if self.until is None else read_moment(self.until, now=now),
            text=self.text,
            records=tuple(self.records),
            redrives=self.redrives,
        )


class ListDocument(FilterDocument):
    """The parameters of `GET /dlq`."""

    state: Literal["open", "redriving", "redriven", "all"] = "open"
    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = None


ListParameters = Annotated[ListDocument, Query()]
StatsParameters = Annotated[FilterDocument, Query()]


class RedriveDocument(BaseModel):
    """An order to send dead letters again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"filter": {"kind": "rejected"}, "rate": 50}})

    filter: FilterDocument = Field(description="Which; {} = every open one.")
    rate: float | None = Field(None, gt=0, le=1_000_000, description="Records a second, evenly; null = as fast as it goes.")
    max_redrives: int = Field(MAX_REDRIVES, ge=1, le=1_000_000, description="Refuse what was redriven so often already.")
    dry_run: bool = Field(default=False, description="Only count what it would take, by error.")


class DropDocument(BaseModel):
    """An order to delete dead letters, bytes and all. Their outcomes stay."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"filter": {"kind": "malformed"}, "expected": 12}}
    )

    filter: FilterDocument = Field(description="Which; {} = every open one.")
    expected: int | None = Field(
        None, ge=0, description="How many that are, as a dry run said: asked for, against mistakes."
    )
    dry_run: bool = Field(default=False, description="Only count what it would take, by error.")


class PageDocument(BaseModel):
    """A page of dead letters or operations, newest first."""

    data: list[dict[str, Any]]
    has_more: bool
    next_cursor: str | None
