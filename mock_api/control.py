"""The control plane: what was counted, and how the mock behaves. It decides answers; it writes to no connection.

GET  /stats            totals; ?token=T (repeatable) adds the calls of those tokens, ?tokens=true of all
POST /reset            count from zero
GET  /profile          the behaviour
PUT  /profile          change it; fields left out keep their value; calls that are running keep their plan
GET  /health/live
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote_to_bytes

from mock_api.ledger import Ledger
from mock_api.profile import Profile, ProfileError, changed_profile
from mock_api.replies import JSON, score_of

SCORE_PREFIX = "/score/"


@dataclass(slots=True)
class Mock:
    """What all connections share. `profile` is replaced whole; `connections`: the open ones."""

    profile: Profile
    ledger: Ledger = field(default_factory=Ledger)
    connections: set[asyncio.Transport] = field(default_factory=set)


@dataclass(slots=True)
class Request:
    """One request of the control plane, read in full."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""


@dataclass(slots=True)
class Answer:
    """A status, a JSON value, and for 405 the methods that exist."""

    status: int
    content: object
    allow: str = ""

    def body(self) -> bytes:
        """Return the content as JSON and a line end, which is what a person at curl wants."""
        return JSON.encode(self.content) + b"\n"


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
    if handlers is None:
        return Answer(404, {"error": f"no such path: {request.path}", "paths": ["/score/{token}", *_ROUTES]})
    handler = handlers.get(method)
    return _not_allowed(*handlers) if handler is None else handler(mock, request)


def _uncounted_call(method: str, token: str) -> Answer:
    """Answer HEAD, which buys nothing and is not counted; it is GET by now, and a real GET, a call, does not come here."""
    return Answer(200, score_of(token)) if method == "GET" else _not_allowed("GET")


def _not_allowed(*methods: str) -> Answer:
    allow = ", ".join((*methods, "HEAD") if "GET" in methods else methods)
    return Answer(405, {"error": f"use {allow}"}, allow)


def _stats(mock: Mock, request: Request) -> Answer:
    wanted = parse_qs(request.query, keep_blank_values=True)
    content: dict[str, object] = {**mock.ledger.summary(), "connections": len(mock.connections)}
    by_token = mock.ledger.calls_by_token
    if wanted.get("tokens", [""])[-1].lower() in {"true", "1"}:
        content["calls_by_token"] = by_token
    elif "token" in wanted:
        content["calls_by_token"] = {token: by_token.get(token, 0) for token in wanted["token"]}
    return Answer(200, content)


def _reset(mock: Mock, _request: Request) -> Answer:
    mock.ledger.reset()
    return Answer(200, mock.ledger.summary())


def _read_profile(mock: Mock, _request: Request) -> Answer:
    return Answer(200, mock.profile)


def _change_profile(mock: Mock, request: Request) -> Answer:
    try:
        mock.profile = changed_profile(mock.profile, request.body)
    except ProfileError as error:
        return Answer(422, {"error": str(error)})
    return Answer(200, mock.profile)


def _live(_mock: Mock, _request: Request) -> Answer:
    return Answer(200, {"status": "live"})


_ROUTES: dict[str, dict[str, Callable[[Mock, Request], Answer]]] = {
    "/stats": {"GET": _stats},
    "/reset": {"POST": _reset},
    "/profile": {"GET": _read_profile, "PUT": _change_profile},
    "/health/live": {"GET": _live},
}
