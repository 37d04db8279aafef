"""The shapes of answers as OpenAPI shows them. What is sent is written by msgspec (outcomes.py); a test compares the two."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from producer_api.gate_orders import OPERATOR, PROVIDER, Action, Gate
from producer_api.outcomes import Outcome, encode_outcome
from producer_api.problems import NoOutcomeError

EXAMPLE_ID = "0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"
WAIT = (
    "Seconds to wait for a final outcome (succeeded, dead_lettered, cancelled). 0 answers at once. When the time is over, "
    "the answer is the latest outcome, which may be `retrying`, or 404 if there is none. The server's limit is "
    "API_MAX_WAIT_SECONDS (60); more than that waits that long."
)
WaitSeconds = Annotated[float, Query(ge=0, description=WAIT, examples=[15], allow_inf_nan=False)]


class Accepted(BaseModel):
    """Kafka has the token: every in-sync replica acknowledged the record."""

    model_config = ConfigDict(json_schema_extra={"example": {"token": "1234", "record_id": EXAMPLE_ID}})

    token: str = Field(description="The token as it was read, digits as written.")
    record_id: str = Field(description="The record's id (UUID 7): GET /records/{record_id} tells what became of it.")


class ErrorDocument(BaseModel):
    """Why the last attempt did not succeed."""

    kind: str = Field(description="malformed, rejected, transient, rate_limited, unavailable, unstorable, unexpected ...")
    message: str | None = Field(description="For people.")


class SourceDocument(BaseModel):
    """Where the record lies in Kafka."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime = Field(description="When the broker appended it.")


class OutcomeDocument(BaseModel):
    """What became of a record."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "token": "1234",
                "record_id": EXAMPLE_ID,
                "outcome": "succeeded",
                "attempt": 1,
                "redrive_count": 0,
                "result": {"score": 712},
                "error": None,
                "source": {"topic": "tokens", "partition": 3, "offset": 1841, "timestamp": "2026-11-25T09:30:00.250000Z"},
                "settled_at": "2026-11-25T09:30:06.812000Z",
            }
        }
    )

    token: str | None = Field(description="Null where the record named no token.")
    record_id: str
    outcome: Literal["succeeded", "retrying", "dead_lettered", "cancelled"] = Field(
        description="`retrying` is not final: the record waits for its next attempt."
    )
    attempt: int = Field(description="The attempt just made, from 1; 0: none was.")
    redrive_count: int = Field(description="How often it was sent again from the dead letters.")
    result: Any = Field(description="The provider's answer as stored; null unless succeeded.")
    error: ErrorDocument | None
    source: SourceDocument
    settled_at: datetime = Field(description="When this outcome was stored.")


class ClosedGateDocument(BaseModel):
    """A gate that holds calls back. What is held back stays in Kafka or ready in a worker, and spends no attempt."""

    provider: str
    gate: str = Field(description="operator, misconfigured, rate_limited, breaker or dlq_flood.")
    workers: list[str] = Field(description="Where it is closed; empty: no worker is live, and those that start close it.")
    why: str
    who: str | None = Field(description="Who closed it; null: it closed by itself.")
    since: datetime
    until: datetime | None = Field(description="When it opens by itself; null: when somebody opens it, or a probe succeeds.")


class GatesDocument(BaseModel):
    """Every gate that is closed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "data": [
                    {
                        "provider": "default",
                        "gate": "operator",
                        "workers": ["worker-1:8201"],
                        "why": "maintenance until ten",
                        "who": "api",
                        "since": "2026-11-25T09:30:06.812000Z",
                        "until": None,
                    }
                ],
                "has_more": False,
                "next_cursor": None,
            }
        }
    )

    data: list[ClosedGateDocument]
    has_more: bool = False
    next_cursor: str | None = None


class GateOrderDocument(BaseModel):
    """An order to the workers."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"gate": "operator", "action": "close", "why": "maintenance until ten"}},
    )

    action: Action
    gate: Gate | None = Field(None, description="The gate `operator` is the one to close; to open: null = all closed ones.")
    why: str = Field("", max_length=500, description="For whoever finds the gate closed; asked for where one is closed.")
    provider: str = Field(PROVIDER, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.action == "close" and self.gate != OPERATOR:
            msg = "only the gate operator can be closed by hand; the others close by themselves"
            raise ValueError(msg)
        if self.action == "close" and not self.why.strip():
            msg = "say why, for whoever finds the gate closed"
            raise ValueError(msg)
        return self


class OrderDoneDocument(BaseModel):
    """What became of an order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "action": "close",
                "provider": "default",
                "gates": ["operator"],
                "applied": ["worker-1:8201", "worker-2:8201"],
                "waiting": [],
            }
        }
    )

    action: Action
    provider: str
    gates: list[str] = Field(description="The gates that the order went out for; empty: nothing was closed.")
    applied: list[str] = Field(description="Live workers that have carried it out.")
    waiting: list[str] = Field(description="Live workers that have not yet; none of both: no worker is live.")


def outcome_response(outcome: Outcome | None, *, asked: str, path: str) -> Response:
    """Answer with the outcome.

    Raises:
        NoOutcomeError: there is none; its detail says how to wait.

    """
    if outcome is None:
        raise NoOutcomeError(f"Nothing is stored for this {asked} yet. To wait for it: GET {path}?wait_seconds=15.")
    return Response(encode_outcome(outcome), media_type="application/json")
