"""`/health/live`, `/health/ready` and `/metrics`."""

import asyncio
from typing import Final, Literal

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from producer_api.services import services_of

CHECK_SECONDS: Final = 2.0

router = APIRouter(tags=["operation"])


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Dependency(BaseModel):
    """One thing that this API needs; `detail` says what is wrong with it."""

    status: Literal["ok", "unavailable"]
    detail: str | None = None


class Ready(BaseModel):
    """`degraded`: tokens are accepted, outcomes cannot be read."""

    status: Literal["ready", "degraded", "unavailable"]
    dependencies: dict[Literal["kafka", "postgres"], Dependency] = Field(description="State of each dependency.")


@router.get("/health/live")
async def live() -> Live:
    """Say that the process runs. It does not ask anybody: what Kafka or Postgres lack, no restart mends."""
    return Live()


@router.get("/health/ready", responses={503: {"model": Ready, "description": "No token can be accepted."}})
async def ready(request: Request, response: Response) -> Ready:
    """Say whether tokens are accepted: 200 with Kafka reachable, even without Postgres (`degraded`), else 503."""
    parts = services_of(request)
    kafka, postgres = await asyncio.gather(
        parts.producer.why_not_ready(timeout_seconds=CHECK_SECONDS),
        parts.reader.why_not_ready(timeout_seconds=CHECK_SECONDS),
    )
    response.status_code = 503 if kafka else 200
    return Ready(
        status="unavailable" if kafka else "degraded" if postgres else "ready",
        dependencies={"kafka": _dependency(kafka), "postgres": _dependency(postgres)},
    )


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Every metric of this process in Prometheus' text format."""
    return Response(generate_latest(services_of(request).metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})


def _dependency(why_not: str | None) -> Dependency:
    return Dependency(status="unavailable" if why_not else "ok", detail=why_not)
