"""`/gates`: which gates hold calls back, and orders to close or open them."""

from dataclasses import asdict

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from producer_api.bodies import read_limited
from producer_api.documents import GateOrderDocument, GatesDocument, OrderDoneDocument
from producer_api.gate_orders import Order, carry_out, list_closed_gates
from producer_api.problems import BodyTooLargeError, DatabaseUnavailableError, documented
from producer_api.services import services_of

MAX_BODY_BYTES = 16_384
WHO = "api"

router = APIRouter(tags=["operation"])
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": GateOrderDocument.model_json_schema()}},
    }
}


@router.get("/gates", responses=documented(DatabaseUnavailableError))
async def get_gates(request: Request) -> GatesDocument:
    """Tell which gates hold calls back, in which workers, who closed them and why. None listed: all are open."""
    closed = await list_closed_gates(services_of(request).reader.fetch)
    return GatesDocument.model_validate({"data": [asdict(each) for each in closed]})


@router.post(
    "/gates",
    openapi_extra=_BODY,
    responses={
        202: {"model": OrderDoneDocument, "description": "Ordered; not every live worker has carried it out yet."},
        422: {"description": "The body is no such order; the problem says why."},
        **documented(BodyTooLargeError, DatabaseUnavailableError),
    },
)
async def post_gates(request: Request, response: Response) -> OrderDoneDocument:
    """Close the gate `operator`, or open any gate; answers when every live worker has carried it out, or after 5 s (202).

    What closed a gate may close it again: a gate that is opened while its cause is there closes soon. The order to close
    holds for workers that start later as well, until it is opened.
    """
    wanted = _read_order(await read_limited(request, max_bytes=MAX_BODY_BYTES))
    order = Order(wanted.action, wanted.gate, wanted.why, WHO, wanted.provider)
    done = await carry_out(services_of(request).reader.fetch, order)
    response.status_code = 202 if done.waiting else 200
    return OrderDoneDocument.model_validate(asdict(done))


def _read_order(body: bytes) -> GateOrderDocument:
    try:
        return GateOrderDocument.model_validate_json(body)
    except ValidationError as error:
        details = [
            {**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False, include_context=False)
        ]
        raise RequestValidationError(details) from error
