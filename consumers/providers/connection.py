"""One connection that speaks HTTP/1.1: bytes out, one answer in, parsed by httptools; then the next exchange.

A connection belongs to one call or to the pool (pool.py), never to both. It decides nothing about what an answer means; it
says whether another exchange may follow on it, which is the case only after an answer that ended where it said it would.
"""

import asyncio
import zlib
from typing import Any, Final

import httptools

from consumers.engine.answers import SMALL_BYTES
from consumers.errors import RejectedError, TransientError

HEAD_LIMIT_BYTES: Final = 65_536
"""Of an answer's head, as it came; aiohttp stops at 8 KiB a line."""
_GZIP_WINDOW: Final = 31  # zlib's own number for "with gzip's head"


class ServerDisconnectedError(TransientError):
    """The connection ended before any byte of an answer: the request may have arrived or not."""

    outage = True


class Connection(asyncio.Protocol):
    """One connection, and the one exchange that runs on it. `reusable`: another one may follow."""

    __slots__ = (
        "_allowed",
        "_body",
        "_complete",
        "_head_bytes",
        "_lengthy",
        "_parser",
        "_transport",
        "_waiter",
        "content_length",
        "encoding",
        "error",
        "idle_since",
        "retry_after",
        "reusable",
        "size",
        "status",
    )

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)  # serves one exchange after the other
        self._waiter: asyncio.Future[None] | None = None
        self.reusable = True
        self.idle_since = 0.0
        self._reset()
        self._complete = True

    def _reset(self) -> None:
        self._body: list[bytes] = []
        self._complete = False
        self._head_bytes = 0
        self._lengthy = False  # whether the head says where the body ends
        self._allowed = SMALL_BYTES
        self.size = 0
        self.status = 0
        self.error: Exception | None = None
        self.retry_after: str | None = None
        self.encoding = ""
        self.content_length: int | None = None

    # What a call does, in this order: send, then `more` until it says False, then `body`.

    def send(self, request: bytes) -> None:
        """Begin an exchange."""
        self._reset()
        assert self._transport is not None  # noqa: S101 - connected, or it would not be here
        self._transport.write(request)

    async def more(self) -> bool:
        """Wait until the answer is whole (False) or takes more than it is allowed (True). Raises what ended it."""
        if not self._complete and self.error is None and self.size <= self._allowed:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.error is not None:
            raise self.error
        return not self._complete or self.size > self._allowed

    def allow(self, size_bytes: int) -> None:
        """Let the body grow to so many bytes."""
        self._allowed = size_bytes
        if self.error is None and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def body(self, *, limit_bytes: int) -> bytes:
        """Hand the body over, unpacked; a connection that waits keeps none of it. Raises RejectedError, TransientError."""
        pieces, self._body = self._body, []
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return _unpacked(body, self.encoding, limit_bytes=limit_bytes) if self.encoding else body

    def excerpt(self) -> bytes:
        """Return what is there of the body, for a person to read: whole or not, unpacked if that goes."""
        try:
            return self.body(limit_bytes=2 * SMALL_BYTES)
        except (RejectedError, TransientError):
            return b""

    def fail(self, error: Exception) -> None:
        """End the exchange, and the connection with it. The first reason counts."""
        self.reusable = False
        if self.error is None and not self._complete:
            self.error = error
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def close(self) -> None:
        """Close; an exchange that runs is given up. Idempotent."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a stream's is always one of these

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what nobody asked for ends the connection."""
        if self._complete:
            self.close()
            return
        if not self.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if not self._complete:
                self.fail(TransientError(f"the answer is no HTTP: {error}"))
            return
        if not self.status and self._head_bytes > HEAD_LIMIT_BYTES:
            self.fail(TransientError(f"the head of the answer is larger than {HEAD_LIMIT_BYTES} bytes"))

    def eof_received(self) -> None:
        """Let the transport close itself; what that means for the answer, `connection_lost` says."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange that runs: well, where the answer is what came until the end."""
        self.reusable = False
        self._parser = None  # the two hold each other, and the collector comes late
        if self._complete or self.error is not None:
            return
        if self.status and not self._lengthy and exc is None:
            self._complete = True
        elif not self._head_bytes:
            self.error = ServerDisconnectedError(f"the server disconnected: {exc or 'without an answer'}")
        else:
            self.error = TransientError(f"the connection ended half way through the answer: {exc or 'closed'}")
        self._wake()

    # What the parser tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few that matter, of one answer."""
        if self._complete:
            return
        match name.lower():
            case b"content-length":
                self._lengthy = True
                self.content_length = int(value)
            case b"transfer-encoding":
                self._lengthy = True
            case b"content-encoding":
                self.encoding = value.decode("latin-1").strip().lower().removeprefix("identity")
            case b"retry-after":
                self.retry_after = value.decode("latin-1")
            case _:
                return

    def on_headers_complete(self) -> None:
        """Note the status; 1xx is no answer yet."""
        status = self._parser.get_status_code()
        if self._complete:
            return
        if status == 101 or status >= 200:  # noqa: PLR2004 - HTTP's own numbers
            self.status = status
            self.reusable = self.reusable and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Keep a piece; stop reading above what is allowed."""
        if self._complete:
            self.reusable = False  # a second answer that nobody asked for, in the same bytes
            return
        self._body.append(body)
        self.size += len(body)
        if self.size > self._allowed and self._transport is not None:
            self._transport.pause_reading()
            self._wake()

    def on_message_begin(self) -> None:
        """See that only one answer comes."""
        if self._complete:
            self.reusable = False

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        if self.status:
            self._complete = True
            self._wake()
        else:  # of a 1xx, whose head says nothing about the answer
            self._lengthy, self.encoding, self.content_length = False, "", None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _unpacked(body: bytes, encoding: str, *, limit_bytes: int) -> bytes:
    """Unpack gzip, which is all that was offered, up to a limit."""
    if encoding not in {"gzip", "x-gzip"}:
        raise TransientError(f"the answer is encoded as {encoding[:20]!r}, which was not asked for")
    unpack = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = unpack.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise TransientError(f"the answer is no gzip: {error}") from error
    if len(plain) > limit_bytes:
        raise RejectedError(f"the answer is larger than {limit_bytes} bytes")
    if not unpack.eof:
        raise TransientError("the answer's gzip ends too early")
    return plain
