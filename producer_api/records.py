"""`/records`: the outcome of one record."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from producer_api.documents import EXAMPLE_ID, OutcomeDocument, WaitSeconds, outcome_response
from producer_api.problems import DatabaseUnavailableError, NoOutcomeError, TooManyWaitersError, documented
from producer_api.services import services_of

router = APIRouter(tags=["records"])


@router.get(
    "/records/{record_id}",
    response_model=OutcomeDocument,
    responses=documented(NoOutcomeError, DatabaseUnavailableError, TooManyWaitersError),
)
async def get_record(
    request: Request, record_id: Annotated[uuid.UUID, Path(examples=[EXAMPLE_ID])], wait_seconds: WaitSeconds = 0
) -> Response:
    """Tell what became of the record that a POST answered with."""
    parts = services_of(request)
    wait_seconds = min(wait_seconds, parts.settings.api_max_wait_seconds)
    outcome = await parts.watcher.of_record(str(record_id), wait_seconds=wait_seconds)
    return outcome_response(outcome, asked="record", path=f"/records/{record_id}")
