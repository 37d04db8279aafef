"""`/status`: the totals by outcome, and what this process accepted."""

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from producer_api.problems import DatabaseUnavailableError, documented
from producer_api.services import services_of
from topics.record import validate_token

PREFIX = (
    "Count only the records whose token begins with this; without it all are counted, those included that named no token."
)

router = APIRouter(tags=["operation"])


class Totals(BaseModel):
    """Records by their outcome. All but `retrying` are final."""

    succeeded: int = 0
    retrying: int = 0
    dead_lettered: int = 0
    cancelled: int = 0


class AcceptedTotal(BaseModel):
    """What this API process accepted: the POSTs that it answered with 202."""

    records: int
    since: datetime = Field(description="When this process started.")


class Status(BaseModel):
    """Every number is exact, as of the moment that stands beside it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "time": "2026-11-25T09:30:06.812000Z",
                "outcomes": {"succeeded": 99_120, "retrying": 0, "dead_lettered": 880, "cancelled": 0},
                "age_seconds": 0.412,
                "accepted": {"records": 100_000, "since": "2026-11-25T09:00:00Z"},
            }
        }
    )

    time: datetime = Field(description="When this was answered.")
    outcomes: Totals | None = Field(description="Null while the first count of a very large table is not finished.")
    age_seconds: float | None = Field(
        description="How old `outcomes` is: a count is shown for a second, or for ten times as long as it took."
    )
    accepted: AcceptedTotal


@router.get("/status", responses=documented(DatabaseUnavailableError))
async def status(
    request: Request,
    token_prefix: Annotated[str | None, Query(max_length=256, description=PREFIX, examples=["load-4f2a-"])] = None,
) -> Status:
    """Tell how many records have each outcome, counted by the database, and how many this process accepted."""
    parts = services_of(request)
    counted = await parts.totals.read(validate_token(token_prefix) if token_prefix else "")
    return Status(
        time=datetime.now(UTC),
        outcomes=Totals(**counted.records) if counted else None,
        age_seconds=round(time.monotonic() - counted.at, 3) if counted else None,
        accepted=AcceptedTotal(records=parts.metrics.accepted(), since=parts.started_at),
    )
