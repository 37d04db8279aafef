"""HTTP/1.1 over one kept connection, as little of it as a load test needs: its own time is part of what it measures."""

import asyncio
import json
import os
import re
import ssl
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0
"""Above the API's own limit on a wait for Kafka (API_PRODUCE_TIMEOUT_SECONDS, 10 by default)."""
MAX_ANSWER_BYTES: Final = 4 * 2**20
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after:[ \t]*(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class UnreachableError(Exception):
    """No connection: nothing was sent."""


class NoAnswerError(Exception):
    """Sent, and no usable answer came back: what became of the request is not known."""


@dataclass(slots=True)
class Answer:
    """A whole answer. `retry_after_seconds` is None where the server names none."""

    status: int
    retry_after_seconds: int | None
    closes: bool
    body: bytes

    def document(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where it is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def reason(self) -> str:
        """The status and the problem's short name: "503 kafka-unavailable"."""
        kind = str(self.document().get("type", "")).rpartition(":")[2]
        return f"{self.status} {kind}".rstrip()


def parse_answer(received: bytes | bytearray) -> Answer | None:
    """Read an answer, None while it is not whole.

    Raises:
        NoAnswerError: it is not HTTP/1.1 with a content-length, or too large.

    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > MAX_ANSWER_BYTES:
            raise NoAnswerError("the answer's head does not end")
        return None
    head = bytes(received[: end + 2])
    length = _LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 ") or length is None or int(length[1]) > MAX_ANSWER_BYTES:
        raise NoAnswerError("the answer is not HTTP/1.1 with a content-length")
    whole = end + 4 + int(length[1])
    if len(received) < whole:
        return None
    wait = _RETRY_AFTER.search(head)
    return Answer(
        status=int(head[9:12]),
        retry_after_seconds=int(wait[1]) if wait else None,
        closes=_CLOSE.search(head) is not None,
        body=bytes(received[end + 4 : whole]),
    )


class _Exchange(asyncio.Protocol):
    """One connection and the answer that it waits for."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # TCP has no other; uvloop's is registered as none

    def send(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; the future is its answer."""
        assert self.transport is not None  # noqa: S101 - create_connection returns after connection_made
        self._received.clear()
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._waiting is None or self._waiting.done():
            return
        try:
            answer = parse_answer(self._received)
        except NoAnswerError as error:
            self._waiting.set_exception(error)
            return
        if answer is not None:
            self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(NoAnswerError("the connection ended before the answer"))


class Client:
    """Asks one server, one request at a time, over a connection that is opened when needed and kept."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._base = parts.path.rstrip("/")
        self._head = f" HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n"
        self._exchange: _Exchange | None = None

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a JSON body; see `_ask` for what it raises."""
        head = f"POST {self._base}{path}{self._head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        return await self._ask(head.encode() + body)

    async def get(self, path: str) -> Answer:
        """Ask for a document; see `_ask` for what it raises."""
        return await self._ask(f"GET {self._base}{path}{self._head}\r\n".encode())

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._exchange is not None and self._exchange.transport is not None:
            self._exchange.transport.abort()
        self._exchange = None

    async def _ask(self, request: bytes) -> Answer:
        """Return the whole answer.

        Raises:
            UnreachableError: nothing was sent.
            NoAnswerError: it was sent, and there is no answer within ANSWER_SECONDS.

        """
        exchange = await self._connected()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await exchange.send(request)
        except TimeoutError as error:
            self.close()
            raise NoAnswerError(f"no answer within {ANSWER_SECONDS:g} s") from error
        except NoAnswerError:
            self.close()
            raise
        if answer.closes:
            self.close()
        return answer

    async def _connected(self) -> _Exchange:
        if self._exchange is not None and self._exchange.transport is not None and not self._exchange.transport.is_closing():
            return self._exchange
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, self._exchange = await loop.create_connection(_Exchange, self._host, self._port, ssl=self._tls)
        except TimeoutError as error:
            raise UnreachableError(f"no connection within {CONNECT_SECONDS:g} s") from error
        except OSError as error:
            number = error.errno or 0  # of a name that is not found it is negative, and no number of the system's
            raise UnreachableError(os.strerror(number) if number > 0 else str(error)) from error
        return self._exchange
