"""What the API knows: the score of a token, and the answers that carry it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

import msgspec

LOWEST_SCORE: Final = 300
HIGHEST_SCORE: Final = 850
JSON: Final = msgspec.json.Encoder()
_BANDS: Final = ((580, "poor"), (670, "fair"), (740, "good"), (800, "very good"))
_RANGE: Final = HIGHEST_SCORE - LOWEST_SCORE + 1


class Score(msgspec.Struct, gc=False):
    """The answer to a call, as the outside world would give it. It refers to nothing that could refer back to it."""

    token: str
    score: int
    band: str


def band(points: int) -> str:
    """Return the name of the range that a score lies in."""
    return next((name for below, name in _BANDS if points < below), "exceptional")


_BAND_OF: Final = {points: band(points) for points in range(LOWEST_SCORE, HIGHEST_SCORE + 1)}


def score_of(token: str) -> Score:
    """Return what the API knows of a token: of the token alone, so that it outlives seeds, profiles and restarts."""
    points = LOWEST_SCORE + crc32(token.encode()) % _RANGE
    return Score(token, points, _BAND_OF[points])


def score_body(token: str, extra: bytes = b"") -> bytes:
    """Return the score of a token as JSON; `extra` is one more field of the object, as written."""
    body = JSON.encode(score_of(token))
    return body[:-1] + b"," + extra + b"}" if extra else body


def batch_body(tokens: Iterable[str], extras: Mapping[str, bytes]) -> bytes:
    """Return the scores of tokens as one JSON object, keyed by token; `extras`: token -> one more field of its object."""
    scores: dict[str, Score | msgspec.Raw] = {
        token: Score(token, points := LOWEST_SCORE + crc32(token.encode()) % _RANGE, _BAND_OF[points]) for token in tokens
    }  # `score_of`, written out: it runs for each of up to a thousand ids
    for token, extra in extras.items():
        if token in scores:
            scores[token] = msgspec.Raw(score_body(token, extra))
    return JSON.encode(scores)
