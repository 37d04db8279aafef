"""HTTP/1.1 answers as bytes. Pure.

`connection: keep-alive` stands in every answer that leaves the connection open, for callers that speak HTTP/1.0.
"""

from http import HTTPStatus
from typing import Final

import msgspec

from mock_api.profile import Plan, band, score

JSON: Final = msgspec.json.Encoder()
_HEADS: Final[dict[tuple[int, bool], bytes]] = {
    (int(status), keep): (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"connection: {'keep-alive' if keep else 'close'}\r\ncontent-length: "
    ).encode()
    for status in HTTPStatus
    for keep in (True, False)
}


class Score(msgspec.Struct):
    """The answer to a call, as the outside world would give it."""

    token: str
    score: int
    band: str


def score_of(token: str) -> Score:
    """Return what the API knows of a token: always the same."""
    points = score(token)
    return Score(token, points, band(points))


def planned_reply(token: str, plan: Plan, *, keep_alive: bool) -> bytes:
    """Return the answer that a plan asks for."""
    ok = plan.status == HTTPStatus.OK
    content = score_of(token) if ok else {"error": "the score could not be computed", "token": token}
    return reply(plan.status, JSON.encode(content) + b"\n", keep_alive=keep_alive)


def reply(status: int, body: bytes, *, keep_alive: bool, head_only: bool = False, allow: str = "") -> bytes:
    """Return a whole answer; `head_only` leaves the body out and keeps its length, as HEAD wants it."""
    allow_line = b"\r\nallow: %b" % allow.encode() if allow else b""
    return b"%b%d%b\r\n\r\n%b" % (_HEADS[status, keep_alive], len(body), allow_line, b"" if head_only else body)
