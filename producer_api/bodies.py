"""Read a request's body within a size and a time."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from producer_api.problems import BodyTooLargeError, BodyTooSlowError
from topics.catalogue import MAX_MESSAGE_BYTES

MAX_BODY_BYTES: Final = MAX_MESSAGE_BYTES
"""A body is about as large as the record that it becomes, so the topic's limit is the body's."""
DISCARDED_BYTES: Final = 16 * MAX_BODY_BYTES
"""How much of a body that is too large is read and thrown away, so that its sender gets to reading the answer: a server that
closes on a sender resets the connection, and the answer is lost with it."""
BODY_SECONDS: Final = 30.0


async def read_limited(request: Request, *, max_bytes: int = MAX_BODY_BYTES, timeout_seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole body; keeps at most `max_bytes` of it in memory.

    Raises:
        BodyTooLargeError: more than `max_bytes`; at once where the sender waits for our permission (Expect: 100-continue) or
            has more than DISCARDED_BYTES too many, announced or received.
        BodyTooSlowError: not complete within `timeout_seconds`, or its sender went away.

    """
    too_large = BodyTooLargeError(f"A body may have {max_bytes} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes + (0 if "expect" in request.headers else DISCARDED_BYTES):
        raise too_large
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= max_bytes:
                    body += chunk
                elif size > max_bytes + DISCARDED_BYTES:
                    raise too_large
    except TimeoutError as error:
        raise BodyTooSlowError(f"{size} bytes arrived within {timeout_seconds:g} s.") from error
    except ClientDisconnect as error:
        raise BodyTooSlowError("The connection was closed before the body was complete.") from error
    if size > max_bytes:
        raise too_large
    return bytes(body)
