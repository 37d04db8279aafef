"""Read a request's body within a size and a time."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from producer_api.problems import BodyTooLargeError, BodyTooSlowError
from topics.catalogue import MAX_MESSAGE_BYTES

MAX_BODY_BYTES: Final = MAX_MESSAGE_BYTES
"""A body is about as large as the record that it becomes, so the topic's limit is the body's."""
BODY_SECONDS: Final = 30.0


async def read_limited(request: Request, *, max_bytes: int = MAX_BODY_BYTES, timeout_seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole body; refuses it as soon as it is known to be too large, before the rest has arrived.

    Raises:
        BodyTooLargeError: more than `max_bytes`, announced or received.
        BodyTooSlowError: not complete within `timeout_seconds`, or its sender went away.

    """
    too_large = BodyTooLargeError(f"A body may have {max_bytes} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError as error:
        raise BodyTooSlowError(f"{len(body)} bytes arrived within {timeout_seconds:g} s.") from error
    except ClientDisconnect as error:
        raise BodyTooSlowError("The connection was closed before the body was complete.") from error
    return bytes(body)
