"""How the mock API behaves, as people write it: `PUT /profile` and the settings. Pure; docs/mock-api.md explains it.

A `Behaviour` says how slow and how faulty calls are; a `Profile` is the behaviour of all calls, with rules that give chosen
tokens another one. `mock_api/plan.py` turns a profile into what happens to one call.
"""

import re
from typing import Annotated, Final, Literal, Self, get_args

import msgspec

from mock_api.latency import Latency, Seconds
from mock_api.settings import MockApiSettings

Kind = Literal[
    "hang",
    "drip",
    "cut_before",
    "cut_half",
    "not_json",
    "not_utf8",
    "wrong_length",
    "nul",
    "lone_surrogate",
    "deep_json",
    "huge_number",
    "huge_answer",
]
"""What can be wrong with a call beside its status."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ROUNDING: Final = 1e-9
"""Ten times 0.1 is not quite 1."""

Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
Status = Annotated[int, msgspec.Meta(ge=300, le=599)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class ProfileError(ValueError):
    """A profile that cannot be; the text says why."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calls go. Each call has at most one fault: a status, or a kind of misbehaviour."""

    latency_min_seconds: Seconds = 4.0
    latency_max_seconds: Seconds = 10.0
    latency: Latency | None = None
    """A distribution in place of the even spread between the two bounds above."""
    tail_ratio: Ratio = 0.0
    tail_seconds: Seconds = 0.0
    """The part of the calls that takes `tail_seconds` instead, whatever the distribution."""

    error_ratio: Ratio = 0.0
    """The part answered with 500."""
    statuses: dict[Status, Ratio] = {}
    """Status -> the part answered with it."""
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | None = 1
    """The Retry-After of every 429 and 503; null = none."""
    misbehaviours: dict[Kind, Ratio] = {}
    """Kind -> the part of the calls that goes wrong so."""
    fail_first_calls: Count = 0
    fail_first_with: Status | Kind = 500
    """The first n calls of each token go wrong so; the later ones go as the ratios say."""
    left_out_ratio: Ratio = 0.0
    """The part of the ids of a batch that is missing from its answer."""

    hang_seconds: Seconds = 600.0
    """How long a hang lasts before the connection is closed without a byte."""
    drip_seconds: Annotated[float, msgspec.Meta(ge=0.001, le=60)] = 1.0
    """The time between two bytes of a dripping answer's body."""
    huge_bytes: Annotated[int, msgspec.Meta(ge=1, le=100_000_000)] = 10_000_000
    deep_levels: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.latency_min_seconds > self.latency_max_seconds:
            msg = "latency_min_seconds is above latency_max_seconds"
            raise ValueError(msg)
        total = self.error_ratio + sum(self.statuses.values()) + sum(self.misbehaviours.values())
        if total > 1 + ROUNDING:
            msg = f"error_ratio, statuses and misbehaviours add up to {total:g}, which is more than 1"
            raise ValueError(msg)


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `calls` requests in any window of `window_seconds`; the others are answered 429 at once."""

    calls: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    window_seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 1.0


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens, by name or by a regular expression that the whole token matches, and what is different for them."""

    behaviour: dict[str, object]
    tokens: tuple[str, ...] = ()
    pattern: str | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that is for nobody, and an expression that is none."""
        if not self.tokens and self.pattern is None:
            msg = "a rule needs tokens or a pattern"
            raise ValueError(msg)
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            msg = f"pattern {self.pattern!r} is no regular expression: {error}"
            raise ValueError(msg) from error


class Profile(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The behaviour of the API as a whole."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1
    rate_limit: RateLimit | None = None
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, in the rules too."""
        Behaviour.__post_init__(self)
        for rule in self.rules:
            self.behaviour_under(rule)

    def behaviour_under(self, rule: Rule) -> Behaviour:
        """Return the behaviour of a rule's tokens: what the rule leaves out is as for all others."""
        own = {name: value for name, value in self.fields().items() if name in Behaviour.__struct_fields__}
        return msgspec.convert(own | rule.behaviour, Behaviour, str_keys=True)

    def fields(self) -> dict[str, object]:
        """Return the profile as plain JSON values by name."""
        plain: dict[str, object] = msgspec.to_builtins(self, str_keys=True)
        return plain

    def changed(self, change: bytes) -> Self:
        """Return the profile with the fields of a JSON object replaced; fields left out keep their value.

        Raises:
            ProfileError: no JSON object, an unknown field, a value out of range, or a contradiction.

        """
        try:
            fields = msgspec.json.decode(change, type=dict[str, object])
            return msgspec.convert(self.fields() | fields, type(self), str_keys=True)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"the profile cannot be changed: {error}"
            raise ProfileError(msg) from error


def profile_of(settings: MockApiSettings) -> Profile:
    """Return the profile that the mock starts with: the settings, and over them the JSON of MOCK_API_PROFILE.

    Raises:
        ProfileError: the JSON of MOCK_API_PROFILE is no profile.

    """
    profile = Profile(
        latency_min_seconds=settings.mock_api_latency_min_seconds,
        latency_max_seconds=settings.mock_api_latency_max_seconds,
        error_ratio=settings.mock_api_error_ratio,
        seed=settings.mock_api_seed,
    )
    if settings.mock_api_profile is None:
        return profile
    try:
        return profile.changed(settings.mock_api_profile.encode())
    except ProfileError as error:
        msg = f"MOCK_API_PROFILE: {error}"
        raise ProfileError(msg) from error
