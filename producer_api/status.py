"""`/status`: the totals by outcome, the queue, and what this process accepted."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from producer_api.lag import Reading
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


class Queue(BaseModel):
    """The consumer group's lag. Null is unknown, never 0."""

    tokens: int | None = Field(description="Records on the tokens topic whose offset is not committed; in flight included.")
    retry: int | None = Field(description="The same of the retry topics: those that wait for their time included.")
    seconds: float | None = Field(description="Age of the oldest such record on the tokens topic; 0 without one.")
    members: int | None = Field(description="Workers in the group.")
    age_seconds: float = Field(description="How old these numbers are.")


class Status(BaseModel):
    """Every number is exact, as of the moment that stands beside it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "time": "2026-11-25T09:30:06.812000Z",
                "outcomes": {"succeeded": 99_120, "retrying": 0, "dead_lettered": 880, "cancelled": 0},
                "age_seconds": 0.412,
                "lag": {"tokens": 4_312, "retry": 0, "seconds": 6.1, "members": 1, "age_seconds": 0.2},
                "lag_unknown_because": None,
                "accepted": {"records": 100_000, "since": "2026-11-25T09:00:00Z"},
            }
        }
    )

    time: datetime = Field(description="When this was answered.")
    outcomes: Totals | None = Field(description="Null while the first count of a very large table is not finished.")
    age_seconds: float | None = Field(
        description="How old `outcomes` is: a count is shown for a second, or for ten times as long as it took."
    )
    lag: Queue | None = Field(description="Null while Kafka does not tell it.")
    lag_unknown_because: str | None = Field(description="Why `lag` is null; null where it is not.")
    accepted: AcceptedTotal


@router.get("/status", responses=documented(DatabaseUnavailableError))
async def status(
    request: Request,
    token_prefix: Annotated[str | None, Query(max_length=256, description=PREFIX, examples=["load-4f2a-"])] = None,
) -> Status:
    """Tell how many records have each outcome, how many wait, and how many this process accepted."""
    parts = services_of(request)
    prefix = validate_token(token_prefix) if token_prefix else ""
    counted = await parts.totals.read(prefix)
    reading = await parts.queue.read()
    now = time.monotonic()
    return Status(
        time=datetime.now(UTC),
        outcomes=Totals(**counted.records) if counted else None,
        age_seconds=round(now - counted.at, 3) if counted else None,
        lag=_queue(reading, parts.settings.tokens_topic, now),
        lag_unknown_because=reading.why_not,
        accepted=AcceptedTotal(records=parts.metrics.accepted(), since=parts.started_at),
    )


def _queue(reading: Reading, tokens_topic: str, now: float) -> Queue | None:
    """Tell the tokens topic and the retry topics apart; a sum with an unknown part is unknown."""
    if reading.lag is None:
        return None
    tokens = [each for each in reading.lag.partitions if each.topic == tokens_topic]
    retry = [each for each in reading.lag.partitions if each.topic != tokens_topic]
    seconds = [each.lag_seconds for each in tokens]
    known = [each for each in seconds if each is not None]
    return Queue(
        tokens=_total(each.lag for each in tokens) if tokens else None,
        retry=_total(each.lag for each in retry),
        seconds=round(max(known), 3) if known and len(known) == len(seconds) else None,
        members=reading.lag.members,
        age_seconds=round(now - reading.at, 3),
    )


def _total(lags: Iterable[int | None]) -> int | None:
    total = 0
    for lag in lags:
        if lag is None:
            return None
        total += lag
    return total
