"""The data plane: one protocol object a connection, one timer a call, no task. Thin: `profile.plan` decides, this plays it.

A framework's route costs five times as much a call, and the mock must not be what a benchmark measures. Answers leave in the
order of their requests, also where a caller sends the next request before the answer to the last (pipelining). All of it
runs in the event loop's thread, so nothing here is locked.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, cast

import httptools

from mock_api.control import Mock, Request, TargetError, answer, token_of
from mock_api.ledger import End
from mock_api.profile import Plan, plan
from mock_api.replies import JSON, planned_reply, reply

MAX_TARGET_BYTES: Final = 16_384
"""More than the longest token needs: 256 characters of 4 bytes, each byte 3 characters when percent-encoded."""
MAX_BODY_BYTES: Final = 65_536
MAX_PIPELINED: Final = 64
"""Requests of one connection waiting for their answers; with more it is not read any further until some have left."""
NOT_A_CALL: Final = -1


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request and its answer, which is None while the call runs; `epoch` is the ledger's, or NOT_A_CALL."""

    keep_alive: bool
    answer: bytes | None = None
    epoch: int = NOT_A_CALL
    end: End = "answered"
    timer: asyncio.TimerHandle | None = None


class MockProtocol(asyncio.Protocol):
    """Reads the requests of one connection, counts the calls among them, and answers each when its plan says so."""

    __slots__ = ("_body", "_closing", "_exchanges", "_loop", "_mock", "_parser", "_target", "_transport")

    _transport: asyncio.Transport
    _parser: httptools.HttpRequestParser | None

    def __init__(self, mock: Mock) -> None:
        self._mock = mock
        self._loop = asyncio.get_running_loop()
        self._exchanges: deque[_Exchange] = deque()
        self._target = self._body = b""
        self._closing = False
        """True: what still arrives is not read, and the connection closes behind the last answer."""

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to read."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._mock.connections.add(self._transport)

    def data_received(self, data: bytes) -> None:
        """Read on; what is no HTTP is answered once, with 400, and ends the connection."""
        while data and not self._closing:
            data = self._feed(data)
        if len(self._exchanges) > MAX_PIPELINED:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Read nothing more from a caller that does not take its answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is not answered yet: a call whose caller left stays counted, and its end is `disconnected`."""
        del exc
        self._closing = True
        self._parser = None  # it holds methods of this object: without the cycle nothing waits for the garbage collector
        self._mock.connections.discard(self._transport)
        for exchange in self._exchanges:
            if exchange.timer is not None:
                exchange.timer.cancel()
            if exchange.epoch != NOT_A_CALL:
                self._mock.ledger.end("disconnected", exchange.epoch)
        self._exchanges.clear()

    # The parser's callbacks. There is none for headers: nothing here depends on one, and each would cost time.

    def on_url(self, part: bytes) -> None:
        """Collect the target, which comes in parts where it was split over packets."""
        self._target += part
        if len(self._target) > MAX_TARGET_BYTES:
            self._refuse(414, f"the target is longer than {MAX_TARGET_BYTES} bytes")

    def on_body(self, part: bytes) -> None:
        """Collect the body."""
        self._body += part
        if len(self._body) > MAX_BODY_BYTES:
            self._refuse(413, f"the body is larger than {MAX_BODY_BYTES} bytes")

    def on_message_complete(self) -> None:
        """Begin a call, or answer at once what is none."""
        if self._closing or self._parser is None:
            return
        target, body = self._target.decode("latin-1"), self._body
        self._target = self._body = b""
        keep_alive = self._parser.should_keep_alive()
        self._closing = not keep_alive
        method = self._parser.get_method()
        path, _, query = target.partition("?")
        if method == b"GET" and (token := _readable_token(path)) is not None:
            self._begin(token, keep_alive=keep_alive)
            return
        given = answer(self._mock, Request(method.decode(), path, query, body))
        content = reply(given.status, given.body(), keep_alive=keep_alive, head_only=method == b"HEAD", allow=given.allow)
        self._exchanges.append(_Exchange(keep_alive, content))
        self._flush()

    # A call.

    def _begin(self, token: str, *, keep_alive: bool) -> None:
        """Count the call and start its timer."""
        ledger = self._mock.ledger
        number = ledger.begin(token)
        decided = plan(self._mock.profile, token, number)
        exchange = _Exchange(keep_alive, None, ledger.epoch)
        self._exchanges.append(exchange)
        exchange.timer = self._loop.call_later(decided.delay_seconds, self._play, exchange, token, decided)

    def _play(self, exchange: _Exchange, token: str, decided: Plan) -> None:
        """Give the planned answer, now that its time has come."""
        exchange.timer = None
        exchange.end = "answered" if decided.status < 400 else "failed"  # noqa: PLR2004 - where HTTP's errors begin
        exchange.answer = planned_reply(token, decided, keep_alive=exchange.keep_alive)
        self._flush()

    def _flush(self) -> None:
        """Write the answers that are ready and have none before them that is not; close behind the last one."""
        exchanges = self._exchanges
        while exchanges and (content := exchanges[0].answer) is not None:
            exchange = exchanges.popleft()
            self._transport.write(content)
            if exchange.epoch != NOT_A_CALL:
                self._mock.ledger.end(exchange.end, exchange.epoch)
            if not exchange.keep_alive:
                self._transport.close()
            elif len(exchanges) == MAX_PIPELINED:
                self._transport.resume_reading()

    def _feed(self, data: bytes) -> bytes:
        """Parse; return what is left behind a request to switch protocols, which is answered as if it had not asked."""
        if self._parser is None:
            return b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            raise  # a bug of ours: the event loop logs it and closes the connection
        except httptools.HttpParserError as error:
            self._refuse(400, f"this is not HTTP/1.1: {error}")
        return b""

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer behind what was asked before, and read no further."""
        if self._closing:
            return
        self._closing = True
        content = reply(status, JSON.encode({"error": sentence}) + b"\n", keep_alive=False)
        self._exchanges.append(_Exchange(keep_alive=False, answer=content))
        self._flush()


def _readable_token(path: str) -> str | None:
    """Return the token of a score's path, or None where there is none: `control.answer` then says what is wrong."""
    try:
        return token_of(path)
    except TargetError:
        return None
