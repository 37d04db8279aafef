"""How the mock API behaves, and what it does with one call. Pure; the same seed gives the same behaviour.

A `Profile` says how slow and how faulty the API is; `plan` turns it into a `Plan` for the n-th call of a token; the protocol
plays the plan. A new misbehaviour is a field of the profile and a field of the plan.
"""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Annotated

import msgspec

from mock_api.settings import MAX_LATENCY_SECONDS, MockApiSettings

LOWEST_SCORE = 300
HIGHEST_SCORE = 850
_BANDS = ((580, "poor"), (670, "fair"), (740, "good"), (800, "very good"))
_STEPS = 2**32

Latency = Annotated[float, msgspec.Meta(ge=0, le=MAX_LATENCY_SECONDS)]


class ProfileError(ValueError):
    """A change of the profile that cannot be made; the text says why."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The behaviour of the API: latencies between two bounds (uniform), and the part of calls answered with 500."""

    latency_min_seconds: Latency = 4.0
    latency_max_seconds: Latency = 10.0
    error_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1

    def __post_init__(self) -> None:
        """Refuse bounds that are the wrong way round."""
        if self.latency_min_seconds > self.latency_max_seconds:
            msg = "latency_min_seconds is above latency_max_seconds"
            raise ValueError(msg)


@dataclass(slots=True)
class Plan:
    """What happens to one call: after `delay_seconds`, an answer with this HTTP status."""

    delay_seconds: float
    status: int


def profile_of(settings: MockApiSettings) -> Profile:
    """Return the profile that the mock starts with."""
    return Profile(
        latency_min_seconds=settings.mock_api_latency_min_seconds,
        latency_max_seconds=settings.mock_api_latency_max_seconds,
        error_ratio=settings.mock_api_error_ratio,
        seed=settings.mock_api_seed,
    )


def changed_profile(profile: Profile, change: bytes) -> Profile:
    """Return the profile with the fields of a JSON object replaced; fields left out keep their value.

    Raises:
        ProfileError: no JSON object, an unknown field, or a value out of range.

    """
    try:
        fields = msgspec.json.decode(change, type=dict[str, object])
        return msgspec.convert(msgspec.structs.asdict(profile) | fields, Profile)
    except msgspec.DecodeError as error:
        msg = f"the profile cannot be changed: {error}"
        raise ProfileError(msg) from error


def plan(profile: Profile, token: str, call_number: int) -> Plan:
    """Decide the n-th call (from 1) of a token: same profile, token and number, same plan.

    A cryptographic hash and not a checksum: two calls of one token must be independent, or a token that failed once would
    fail always or never again.
    """
    draw = hashlib.blake2b(b"%d:%d:%b" % (profile.seed, call_number, token.encode()), digest_size=8).digest()
    latency_draw, error_draw = int.from_bytes(draw[:4]), int.from_bytes(draw[4:])
    span = profile.latency_max_seconds - profile.latency_min_seconds
    delay = profile.latency_min_seconds + span * latency_draw / (_STEPS - 1)
    return Plan(delay, 500 if error_draw < profile.error_ratio * _STEPS else 200)


def score(token: str) -> int:
    """Return the score of a token, 300-850: of the token alone, so that it outlives seeds, profiles and restarts."""
    return LOWEST_SCORE + zlib.crc32(token.encode()) % (HIGHEST_SCORE - LOWEST_SCORE + 1)


def band(points: int) -> str:
    """Return the name of the range that a score lies in."""
    return next((name for below, name in _BANDS if points < below), "exceptional")
