"""`/tokens`: one token in, and the latest outcome of a token."""

from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

import msgspec
from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from producer_api.bodies import read_limited
from producer_api.documents import Accepted, OutcomeDocument, WaitSeconds, outcome_response
from producer_api.problems import (
    BodyTooLargeError,
    DatabaseUnavailableError,
    KafkaUnavailableError,
    NoOutcomeError,
    NotAcknowledgedError,
    RecordTooLargeError,
    TooManyProducesError,
    TooManyWaitersError,
    documented,
)
from producer_api.services import services_of
from producer_api.values import outgoing_record, read_body
from topics.identity import new_record_id
from topics.record import MalformedValueError, validate_token

router = APIRouter(tags=["tokens"])
_PREFIX = b"/tokens/"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["token"],
                    "properties": {
                        "token": {
                            "anyOf": [{"type": "string", "minLength": 1, "maxLength": 256}, {"type": "integer"}],
                            "description": "The ID to look up: 1-256 printable characters; an integer's digits as written.",
                        }
                    },
                    "additionalProperties": True,
                    "description": "Other fields are kept and passed on to the provider's templates.",
                },
                "examples": {
                    "token": {"value": {"token": "1234"}},
                    "with fields for the provider": {"value": {"token": "1234", "country": "DE"}},
                },
            }
        },
    }
}


async def token_of_path(
    request: Request,
    token: Annotated[str, Path(description="Percent-encoded where it has other characters than letters and digits.")],
) -> str:
    """Read the token out of the path as it was sent: after decoding, `a%2Fb` and `a/b` would look alike to the router.

    Raises:
        MalformedValueError: it is not UTF-8 or not a token.

    """
    _, prefix, encoded = request.scope["raw_path"].partition(_PREFIX)
    try:
        return validate_token(unquote_to_bytes(encoded).decode() if prefix else token)
    except UnicodeDecodeError as error:
        msg = "the token in the path is not UTF-8"
        raise MalformedValueError(msg) from error


@router.post(
    "/tokens",
    status_code=202,
    response_model=Accepted,
    openapi_extra=_BODY,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}, "description": "/tokens/1234"}}},
        422: {"description": "The body is not a JSON object with a usable token; the problem says why."},
        **documented(
            BodyTooLargeError, RecordTooLargeError, KafkaUnavailableError, NotAcknowledgedError, TooManyProducesError
        ),
    },
)
async def post_token(request: Request) -> Response:
    """Put a token on the topic. 202 means that Kafka has it on every in-sync replica; its outcome follows later.

    `Location` leads to the token's outcome (for the tokens `.` and `..`, which no path can carry, to the record's).
    A 503 of the kind `not-acknowledged` may still be delivered: ask for its record_id before you send it again.
    """
    parts = services_of(request)
    decoded = read_body(await read_limited(request), parts.pattern)
    record = outgoing_record(decoded, record_id=new_record_id(), traceparent=request.headers.get("traceparent"))
    await parts.producer.produce(record)
    return Response(
        msgspec.json.encode({"token": record.token, "record_id": record.record_id}),
        status_code=202,
        headers={"location": location(record.token, record.record_id)},
        media_type="application/json",
    )


@router.get(
    "/tokens/{token:path}",
    response_model=OutcomeDocument,
    responses=documented(NoOutcomeError, DatabaseUnavailableError, TooManyWaitersError),
)
async def get_token(
    request: Request, token: Annotated[str, Depends(token_of_path)], wait_seconds: WaitSeconds = 0
) -> Response:
    """Tell the latest outcome of a token, of whichever of its records was settled last.

    A token that was settled before and is posted again answers with its earlier outcome at once: to wait for the new record,
    ask for `/records/{record_id}`.
    """
    parts = services_of(request)
    wait_seconds = min(wait_seconds, parts.settings.api_max_wait_seconds)
    outcome = await parts.watcher.latest_of_token(token, wait_seconds=wait_seconds)
    return outcome_response(outcome, asked="token", path=token_path(token))


def location(token: str, record_id: str) -> str:
    """Where to ask for what was accepted: the token, or its record where a client would take the token for a folder.

    `.` and `..`, percent-encoded or not, are removed from a path by every client that follows RFC 3986 (section 5.2.4).
    """
    return f"/records/{record_id}" if token in {".", ".."} else token_path(token)


def token_path(token: str) -> str:
    """The path of a token's outcome, percent-encoded so that every character comes back."""
    return f"/tokens/{quote(token, safe='')}"
