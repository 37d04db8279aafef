"""Reading the body of an answer: streamed, capped, and within the memory that all answers of the worker share."""

import asyncio
from typing import Final

import aiohttp
from aiohttp import hdrs

from consumers.engine.answers import SMALL_BYTES, Answers
from consumers.errors import RejectedError

FIRST_STEP_BYTES: Final = 65_536
"""What is asked for where nobody says how long the answer is; then twice as much each time."""


async def read_body(response: aiohttp.ClientResponse, *, limit_bytes: int, answers: Answers, deadline: float) -> bytes:
    """Read a body of at most so many bytes; of one that is no success, only the begin.

    `deadline` is the call's, on the loop's clock: the client's own does not run while an answer waits for room.

    Raises:
        RejectedError: it is larger, by its Content-Length or by what arrives.
        TimeoutError: there was no room for it before the deadline.

    """
    chunks: list[bytes] = []
    size = 0
    reading = None
    try:
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size <= SMALL_BYTES:
                continue
            if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's own success class
                break
            length = _length(response)
            if size > limit_bytes or (length or 0) > limit_bytes:
                raise RejectedError(f"the answer is larger than {limit_bytes} bytes")
            reading = answers.begin() if reading is None else reading
            if reading.held_bytes < size:
                async with asyncio.timeout_at(deadline):
                    await answers.grow(reading, length or min(limit_bytes, max(FIRST_STEP_BYTES, 2 * size)))
        return b"".join(chunks)
    finally:
        if reading is not None:
            answers.end(reading)


def _length(response: aiohttp.ClientResponse) -> int | None:
    """Return what Content-Length promises; of an encoded body that says nothing about its size here."""
    return None if hdrs.CONTENT_ENCODING in response.headers else response.content_length
