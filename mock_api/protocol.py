"""The data plane: one protocol object a connection, timers on a common wheel, no task. Thin: `calls` decides, this plays it.

A framework's route costs five times as much a call, and the mock must not be what a benchmark measures. Answers leave in the
order of their requests, also where a caller sends the next request before the answer to the last (pipelining). All of it
runs in the event loop's thread, so nothing here is locked.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import httptools

from mock_api.calls import BatchError, Call, begin, begin_batch, ids_of, refusal
from mock_api.control import BATCH_PATH, Request, TargetError, answer, token_of
from mock_api.replies import Reply, reply
from mock_api.scores import JSON
from mock_api.state import Mock
from mock_api.wheel import Timer, Wheel

MAX_TARGET_BYTES: Final = 16_384
"""More than the longest token needs: 256 characters of 4 bytes, each byte 3 characters when percent-encoded."""
MAX_BODY_BYTES: Final = 65_536
MAX_BATCH_BYTES: Final = 4_194_304
"""1,000 ids of 256 characters, each written as two JSON escapes of 6 bytes, and some air."""
BATCH_TARGET: Final = BATCH_PATH.encode()
MAX_PIPELINED: Final = 64
"""Requests of one connection waiting for their answers; with more it is not read any further until some have left."""


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request; `reply` is None while it is not ready to leave; `call` is None where nothing was asked of the scores."""

    keep_alive: bool
    reply: Reply | None = None
    call: Call | None = None
    timer: Timer | None = None


class MockProtocol(asyncio.Protocol):
    """Reads the requests of one connection, counts the calls among them, and answers each when its plan says so."""

    __slots__ = ("_body", "_called", "_closing", "_exchanges", "_mock", "_parser", "_target", "_transport", "_wheel")

    _transport: asyncio.Transport
    _parser: httptools.HttpRequestParser | None

    def __init__(self, mock: Mock, wheel: Wheel) -> None:
        self._mock = mock
        self._wheel = wheel
        self._exchanges: deque[_Exchange] = deque()
        self._target = self._body = b""
        self._called = self._closing = False
        """_closing: what still arrives is not read, and the connection closes behind the last answer."""

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
        self._mock.callers.discard(self._transport)
        for exchange in self._exchanges:
            if exchange.timer is not None:
                exchange.timer.cancel()
            if exchange.call is not None:
                exchange.call.leave()
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
        limit = MAX_BATCH_BYTES if self._target == BATCH_TARGET else MAX_BODY_BYTES
        if len(self._body) > limit:
            self._refuse(413, f"the body is larger than {limit} bytes")

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
            self._call(token, keep_alive=keep_alive)
        elif method == b"POST" and path == BATCH_PATH:
            self._call_batch(body, keep_alive=keep_alive)
        else:
            given = answer(self._mock, Request(method.decode(), path, query, body))
            head_only = method == b"HEAD"
            self._answer(
                reply(given.status, given.body(), keep_alive=keep_alive, head_only=head_only, headers=given.headers())
            )

    # A call.

    def _call(self, token: str, *, keep_alive: bool) -> None:
        """Begin the call of a token, if the door is open."""
        if self._is_let_in(keep_alive=keep_alive):
            self._run(begin(self._mock, token), keep_alive=keep_alive)

    def _call_batch(self, body: bytes, *, keep_alive: bool) -> None:
        """Begin the call of a list of ids, if it is one and the door is open."""
        try:
            tokens = ids_of(body)
        except BatchError as error:
            self._answer(reply(422, JSON.encode({"error": str(error)}) + b"\n", keep_alive=keep_alive))
            return
        if self._is_let_in(keep_alive=keep_alive):
            self._run(begin_batch(self._mock, tokens), keep_alive=keep_alive)

    def _is_let_in(self, *, keep_alive: bool) -> bool:
        if not self._called:
            self._called = True
            self._mock.callers.add(self._transport)
        refused = refusal(self._mock, time.monotonic(), keep_alive=keep_alive)
        if refused is None:
            return True
        if refused.status:
            self._answer(refused)
        else:
            self._closing = True
            self._transport.abort()
        return False

    def _run(self, call: Call, *, keep_alive: bool) -> None:
        """Let the call take its time."""
        exchange = _Exchange(keep_alive, call=call)
        self._exchanges.append(exchange)
        exchange.timer = self._wheel.later(call.plan.delay_seconds, partial(self._play, exchange, call))

    def _play(self, exchange: _Exchange, call: Call) -> None:
        """Give the planned answer, now that its time has come."""
        exchange.timer = None
        exchange.reply = call.reply(keep_alive=exchange.keep_alive)
        self._flush()

    # The answers.

    def _answer(self, content: Reply) -> None:
        """Answer what is no call, behind what was asked before."""
        self._exchanges.append(_Exchange(content.keep_alive, content))
        self._flush()

    def _flush(self) -> None:
        """Write the answers that are ready and have none before them that is not; close behind the last one."""
        exchanges = self._exchanges
        while exchanges and (ready := exchanges[0].reply) is not None:
            if ready.drip_seconds > 0:
                self._begin_drip(exchanges[0], ready)
                return
            exchange = exchanges.popleft()
            if ready.content:
                self._transport.write(ready.content)
            if exchange.call is not None:
                exchange.call.end(status=ready.status)
            if not ready.keep_alive:
                self._closing = True
                self._transport.close()
                return
            if len(exchanges) == MAX_PIPELINED:
                self._transport.resume_reading()

    def _begin_drip(self, exchange: _Exchange, ready: Reply) -> None:
        """Write the head of an answer; its body follows byte by byte, and what comes after waits for the last of them."""
        self._transport.write(ready.content[: ready.body_at])
        exchange.reply = None
        self._drip(exchange, ready, ready.body_at)

    def _drip(self, exchange: _Exchange, ready: Reply, at: int) -> None:
        """Write one byte, and come back for the next."""
        self._transport.write(ready.content[at : at + 1])
        if at + 1 < len(ready.content):
            exchange.timer = self._wheel.later(ready.drip_seconds, partial(self._drip, exchange, ready, at + 1))
            return
        exchange.timer = None
        exchange.reply = Reply(b"", ready.keep_alive, ready.status)
        self._flush()

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
        self._answer(reply(status, JSON.encode({"error": sentence}) + b"\n", keep_alive=False))


def _readable_token(path: str) -> str | None:
    """Return the token of a score's path, or None where there is none: `control.answer` then says what is wrong."""
    try:
        return token_of(path)
    except TargetError:
        return None
