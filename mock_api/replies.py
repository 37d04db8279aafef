"""HTTP/1.1 answers as bytes, good ones and spoilt ones. Pure.

`connection: keep-alive` stands in every answer that leaves the connection open, for callers that speak HTTP/1.0.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Final

from mock_api.plan import OK, VALUE_KINDS, Plan
from mock_api.scores import JSON

NOT_JSON: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>\n"
MISSING_BYTES: Final = 7
"""By how much a `wrong_length` is too small."""
WITH_RETRY_AFTER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(slots=True)
class Reply:
    """What goes onto the wire for one request; `status` is 0 where none is sent.

    `drip_seconds` above 0: the bytes from `body_at` on leave one at a time, so far apart.
    """

    content: bytes
    keep_alive: bool
    status: int
    body_at: int = 0
    drip_seconds: float = 0.0


def reply(status: int, body: bytes, *, keep_alive: bool, head_only: bool = False, headers: bytes = b"") -> Reply:
    """Return a whole answer; `head_only` leaves the body out and keeps its length, as HEAD wants it.

    `headers` are whole lines, each with its line end.
    """
    return Reply(_bytes(status, len(body), b"" if head_only else body, keep_alive, headers), keep_alive, status)


def planned_reply(plan: Plan, body: bytes, *, keep_alive: bool) -> Reply:
    """Return the answer that a plan asks for, with this good body, or with the error's body where the plan is one."""
    status = plan.status
    if plan.kind is not None:
        return _spoilt_reply(plan, body, keep_alive=keep_alive)
    if status == OK:
        return reply(status, body, keep_alive=keep_alive)
    headers = retry_after_line(plan.behaviour.retry_after_seconds) if status in WITH_RETRY_AFTER else b""
    no_body = status == HTTPStatus.NOT_MODIFIED
    return reply(status, body, keep_alive=keep_alive, head_only=no_body, headers=headers)


def extra_of(plan: Plan) -> bytes:
    """Return the field that spoils a score's object, or nothing where the plan is no such misbehaviour."""
    if plan.kind is None or plan.kind not in VALUE_KINDS:
        return b""
    return _extra(plan.kind, plan.behaviour.deep_levels, plan.behaviour.huge_bytes)


def error_body(status: int, token: str | None) -> bytes:
    """Return what a call that fails is told; `token` is None for a batch."""
    sentence = {"error": f"the score could not be computed: {_phrase(status)}"}
    return JSON.encode(sentence if token is None else sentence | {"token": token}) + b"\n"


def retry_after_line(seconds: int | None) -> bytes:
    """Return the header, or nothing."""
    return b"" if seconds is None else b"retry-after: %d\r\n" % seconds


def _spoilt_reply(plan: Plan, body: bytes, *, keep_alive: bool) -> Reply:
    match plan.kind:
        case "hang" | "cut_before":
            return Reply(b"", keep_alive=False, status=0)
        case "cut_half":
            half = _bytes(OK, len(body), body[: len(body) // 2], False, b"")
            return Reply(half, keep_alive=False, status=OK)
        case "wrong_length":
            return Reply(_bytes(OK, len(body) - MISSING_BYTES, body, keep_alive, b""), keep_alive, OK)
        case "not_json":
            return reply(OK, NOT_JSON, keep_alive=keep_alive)
        case "drip":
            dripping = reply(OK, body, keep_alive=keep_alive)
            dripping.body_at = len(dripping.content) - len(body)
            dripping.drip_seconds = plan.behaviour.drip_seconds
            return dripping
        case _:  # the kinds that lie in a value: they are in the body by now
            return reply(OK, body, keep_alive=keep_alive)


def _bytes(status: int, length: int, body: bytes, keep_alive: bool, headers: bytes) -> bytes:  # noqa: FBT001 - hot and private
    return b"%b%d\r\n%b\r\n%b" % (_head(status, keep_alive), length, headers, body)


@cache
def _head(status: int, keep_alive: bool) -> bytes:  # noqa: FBT001 - the key of a cache
    connection = "keep-alive" if keep_alive else "close"
    return (
        f"HTTP/1.1 {status} {_phrase(status)}\r\ncontent-type: application/json\r\n"
        f"connection: {connection}\r\ncontent-length: "
    ).encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unnamed"


@lru_cache(maxsize=8)  # one huge answer is 10 MB: made once, not for each call
def _extra(kind: str, deep_levels: int, huge_bytes: int) -> bytes:
    match kind:
        case "not_utf8":
            return b'"note":"caf\xe9"'
        case "nul":
            return b'"note":"a\\u0000b"'
        case "lone_surrogate":
            return b'"note":"a\\ud800b"'
        case "deep_json":
            return b'"note":' + b"[" * deep_levels + b"]" * deep_levels
        case "huge_number":
            return b'"note":1e200000'
        case _:
            return b'"note":"' + b"x" * huge_bytes + b'"'
