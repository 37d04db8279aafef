"""The control plane: what was counted, and how the mock behaves. It decides answers; it writes to no connection.

GET  /stats            totals; ?token=T (repeatable) adds the calls of those tokens, ?tokens=true of all
                       ?repeats=true adds what was bought again, and when
POST /reset            count from zero; ?profile=true: behave as at the start, too, and be up
GET  /profile          the behaviour
PUT  /profile          change it; fields left out keep their value; calls that are running keep their plan
POST /down             ?how=close|refuse&seconds=N: cut every caller and answer no call; without seconds until POST /up
POST /up               answer again
GET  /health/live
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args
from urllib.parse import parse_qs, unquote_to_bytes

from mock_api.profile import ProfileError
from mock_api.scores import JSON, score_of
from mock_api.state import How, Mock, Outage

SCORE_PREFIX: Final = "/score/"
BATCH_PATH: Final = "/scores"
MAX_DOWN_SECONDS: Final = 86_400


@dataclass(slots=True)
class Request:
    """One request of the control plane, read in full."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""

    def value(self, name: str, default: str) -> str:
        """Return a query parameter, the last one where it is repeated."""
        return parse_qs(self.query, keep_blank_values=True).get(name, [default])[-1].lower()


@dataclass(slots=True)
class Answer:
    """A status, a JSON value, and for 405 the methods that exist."""

    status: int
    content: object
    allow: str = ""

    def body(self) -> bytes:
        """Return the content as JSON and a line end, which is what a person at curl wants."""
        return JSON.encode(self.content) + b"\n"

    def headers(self) -> bytes:
        """Return the lines that belong to it."""
        return b"allow: %b\r\n" % self.allow.encode() if self.allow else b""


class TargetError(ValueError):
    """The request names no token that can be read."""


def token_of(path: str) -> str | None:
    """Return the token of a `/score/{token}` path, percent-decoded, or None where the path is another one.

    A raw slash ends the segment, so it makes another path; `%2F` is a slash of the token.

    Raises:
        TargetError: the percent-encoded bytes are not UTF-8.

    """
    if not path.startswith(SCORE_PREFIX):
        return None
    segment = path[len(SCORE_PREFIX) :]
    if not segment or "/" in segment:
        return None
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        msg = "the token in the path is not UTF-8, percent-encoded"
        raise TargetError(msg) from error


def answer(mock: Mock, request: Request) -> Answer:
    """Answer a request that is no call. HEAD is answered as GET; whoever sends the bytes leaves the body out."""
    method = "GET" if request.method == "HEAD" else request.method
    handlers = _ROUTES.get(request.path)
    try:
        token = token_of(request.path)
    except TargetError as error:
        return Answer(400, {"error": str(error)})
    if token is not None:
        return _uncounted_call(method, token)
    if request.path == BATCH_PATH:
        return _not_allowed("POST")
    if handlers is None:
        paths = ["/score/{token}", BATCH_PATH, *_ROUTES]
        return Answer(404, {"error": f"no such path: {request.path}", "paths": paths})
    handler = handlers.get(method)
    return _not_allowed(*handlers) if handler is None else handler(mock, request)


def _uncounted_call(method: str, token: str) -> Answer:
    """Answer HEAD, which buys nothing and is not counted; it is GET by now, and a real GET, a call, does not come here."""
    return Answer(200, score_of(token)) if method == "GET" else _not_allowed("GET")


def _not_allowed(*methods: str) -> Answer:
    allow = ", ".join((*methods, "HEAD") if "GET" in methods else methods)
    return Answer(405, {"error": f"use {allow}"}, allow)


def _stats(mock: Mock, request: Request) -> Answer:
    content = mock.ledger.summary(time.monotonic()) | {"connections": len(mock.connections), "down": _down_state(mock)}
    wanted = parse_qs(request.query, keep_blank_values=True)
    by_token = mock.ledger.calls_by_token
    if request.value("tokens", "") in {"true", "1"}:
        content["calls_by_token"] = by_token
    elif "token" in wanted:
        content["calls_by_token"] = {token: by_token.get(token, 0) for token in wanted["token"]}
    if request.value("repeats", "") in {"true", "1"}:
        content["repeats"] = [{"token": token, "at": at} for token, at in mock.ledger.repeats]
    return Answer(200, content)


def _reset(mock: Mock, request: Request) -> Answer:
    mock.ledger.reset()
    if request.value("profile", "") in {"true", "1"}:
        mock.adopt(mock.first_profile)
        mock.come_up()
    return Answer(200, mock.ledger.summary(time.monotonic()))


def _read_profile(mock: Mock, _request: Request) -> Answer:
    return Answer(200, mock.profile)


def _change_profile(mock: Mock, request: Request) -> Answer:
    try:
        mock.adopt(mock.profile.changed(request.body))
    except ProfileError as error:
        return Answer(422, {"error": str(error)})
    return Answer(200, mock.profile)


def _go_down(mock: Mock, request: Request) -> Answer:
    try:
        outage = outage_of(request, refusal_needs_an_end=mock.refusal_needs_an_end)
    except ValueError as error:
        return Answer(422, {"error": str(error)})
    mock.go_down(outage)
    return Answer(200, {"down": _down_state(mock)})


def _come_up(mock: Mock, _request: Request) -> Answer:
    mock.come_up()
    return Answer(200, {"down": None})


def _live(_mock: Mock, _request: Request) -> Answer:
    return Answer(200, {"status": "live"})


def outage_of(request: Request, *, refusal_needs_an_end: bool) -> Outage:
    """Read what POST /down asks for.

    Raises:
        ValueError: no such way to be down, no such time, or one that nobody could end.

    """
    how = next((each for each in get_args(How) if each == request.value("how", "close")), None)
    if how is None:
        msg = "how is close (cut each connection that calls) or refuse (listen no more)"
        raise ValueError(msg)
    written = request.value("seconds", "")
    if not written and how == "refuse" and refusal_needs_an_end:
        msg = "a mock that refuses connections cannot be told to end that: give seconds, or set MOCK_API_CONTROL_PORT"
        raise ValueError(msg)
    return Outage(how, time.monotonic() + _seconds(written) if written else None)


def _seconds(written: str) -> float:
    msg = f"seconds is a number above 0, at most {MAX_DOWN_SECONDS:,}"
    try:
        seconds = float(written)
    except ValueError as error:
        raise ValueError(msg) from error
    if not 0 < seconds <= MAX_DOWN_SECONDS:
        raise ValueError(msg)
    return seconds


def _down_state(mock: Mock) -> object:
    """Return how the mock is down and for how much longer (null = until told), or null where it is not."""
    if mock.outage is None:
        return None
    until = mock.outage.until
    left = None if until is None else math.ceil(max(0.0, until - time.monotonic()) * 1000) / 1000
    return {"how": mock.outage.how, "seconds_left": left}


_ROUTES: Final[dict[str, dict[str, Callable[[Mock, Request], Answer]]]] = {
    "/stats": {"GET": _stats},
    "/reset": {"POST": _reset},
    "/profile": {"GET": _read_profile, "PUT": _change_profile},
    "/down": {"POST": _go_down},
    "/up": {"POST": _come_up},
    "/health/live": {"GET": _live},
}
