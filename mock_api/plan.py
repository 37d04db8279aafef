"""What happens to one call. Pure: the same profile, token and number of the call give the same plan.

A batch is planned as a call of its first id, without the rules. An id that a rule is for has a plan of its own beside that:
a fault that lies in a value lies in its value, any other fault leaves it out of the answer.
"""

import hashlib
import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from mock_api.latency import uniform
from mock_api.profile import Behaviour, Kind, Profile

OK: Final = 200
INTERNAL_ERROR: Final = 500
VALUE_KINDS: Final[frozenset[Kind]] = frozenset(
    {"not_utf8", "nul", "lone_surrogate", "deep_json", "huge_number", "huge_answer"}
)
"""Misbehaviours that lie in one value of the answer; the others concern the answer as a whole."""
_STEPS: Final = 2**32
_DRAWS: Final = struct.Struct("<4I")

Fault = int | Kind


@dataclass(slots=True)
class Plan:
    """What happens to one call: after `delay_seconds` this status, or where `kind` is set, this misbehaviour."""

    delay_seconds: float
    behaviour: Behaviour
    status: int = OK
    kind: Kind | None = None

    @property
    def faulty(self) -> bool:
        """Whether the caller gets anything but a good answer."""
        return self.status != OK or self.kind is not None


@dataclass(slots=True)
class BatchPlan:
    """The plan of the call, never one of VALUE_KINDS, and what is different for some of its ids: missing, or a bad value.

    An id is in one of the two at most, also where it stands twice in the batch.
    """

    plan: Plan
    left_out: set[str] = field(default_factory=set)
    spoilt: dict[str, Plan] = field(default_factory=dict)


Draws = tuple[int, int, int, int]
"""Independent uniform draws, each from 0 up to 2**32 (not included): for latency, tail, fault, and being left out."""


class _Course:
    """A behaviour made ready: `faults` in a fixed order, `_limits` where each one's share of the draws ends."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._latency = (
            behaviour.latency.sampler()
            if behaviour.latency is not None
            else uniform(behaviour.latency_min_seconds, behaviour.latency_max_seconds)
        )
        shares = list(_shares(behaviour))
        self._faults = [fault for fault, _ in shares]
        self._limits = [sum(ratio for _, ratio in shares[: end + 1]) * _STEPS for end in range(len(shares))]

    def plan(self, draws: Draws, number: int) -> Plan:
        """Decide the n-th call (from 1) of a token."""
        behaviour = self.behaviour
        latency_draw, tail_draw, fault_draw, _ = draws
        delay = self._latency((latency_draw + 0.5) / _STEPS)
        if behaviour.tail_ratio and tail_draw < behaviour.tail_ratio * _STEPS:
            delay = behaviour.tail_seconds
        match self._fault(fault_draw, number):
            case None:
                return Plan(delay, behaviour)
            case int() as status:
                return Plan(delay, behaviour, status)
            case "hang":
                return Plan(behaviour.hang_seconds, behaviour, kind="hang")
            case kind:
                return Plan(delay, behaviour, kind=kind)

    def leaves_out(self, draws: Draws) -> bool:
        """Decide whether an id is missing from the answer of a batch."""
        return draws[3] < self.behaviour.left_out_ratio * _STEPS

    def _fault(self, draw: int, number: int) -> Fault | None:
        if number <= self.behaviour.fail_first_calls:
            return self.behaviour.fail_first_with
        if not self._limits:
            return None
        place = bisect_right(self._limits, draw)
        return self._faults[place] if place < len(self._faults) else None


class Planner:
    """The plans of one profile. An exact name wins over a pattern, then the first rule that matches."""

    def __init__(self, profile: Profile) -> None:
        self._seed = profile.seed
        self._common = _Course(profile)
        self._by_token: dict[str, _Course] = {}
        self._by_pattern: list[tuple[re.Pattern[str], _Course]] = []
        for rule in profile.rules:
            course = _Course(profile.behaviour_under(rule))
            self._by_token = dict.fromkeys(rule.tokens, course) | self._by_token
            if rule.pattern is not None:
                self._by_pattern.append((re.compile(rule.pattern), course))
        self._ids_alike = not profile.rules and not profile.left_out_ratio

    def plan(self, token: str, number: int) -> Plan:
        """Decide the n-th call (from 1) of a token."""
        return self._course(token).plan(self._draws(token, number), number)

    def plan_batch(self, tokens: Sequence[str], numbers: Sequence[int]) -> BatchPlan:
        """Decide a call for several ids, at least one; `numbers`: which call of its token each is."""
        first = self._common.plan(self._draws(tokens[0], numbers[0]), numbers[0])
        if first.kind in VALUE_KINDS:
            batch = BatchPlan(Plan(first.delay_seconds, first.behaviour), spoilt={tokens[0]: first})
        else:
            batch = BatchPlan(first)
        if not self._ids_alike:
            for token, number in zip(tokens, numbers, strict=True):
                self._plan_id(batch, token, number)
            for token in batch.left_out & batch.spoilt.keys():
                del batch.spoilt[token]
        return batch

    def _plan_id(self, batch: BatchPlan, token: str, number: int) -> None:
        """Note what is different for one id of a batch."""
        course = self._course(token)
        if course is self._common and not course.behaviour.left_out_ratio:
            return
        draws = self._draws(token, number)
        if course is not self._common:
            own = course.plan(draws, number)
            if own.kind in VALUE_KINDS:
                batch.spoilt[token] = own
            elif own.faulty:
                batch.left_out.add(token)
        if course.leaves_out(draws):
            batch.left_out.add(token)

    def _course(self, token: str) -> _Course:
        found = self._by_token.get(token)
        if found is not None:
            return found
        return next((course for pattern, course in self._by_pattern if pattern.fullmatch(token)), self._common)

    def _draws(self, token: str, number: int) -> Draws:
        """Draw by hash. A cryptographic one and not a checksum.

        Two calls of one token must be independent, or a token that failed once would fail always or never again.
        """
        key = b"%d:%d:%b" % (self._seed, number, token.encode())
        latency, tail, fault, left_out = _DRAWS.unpack(hashlib.blake2b(key, digest_size=16).digest())
        return latency, tail, fault, left_out


def _shares(behaviour: Behaviour) -> Iterator[tuple[Fault, float]]:
    """Yield each fault with its ratio, in an order that does not depend on how the profile was written."""
    yield INTERNAL_ERROR, behaviour.error_ratio
    yield from sorted(behaviour.statuses.items())
    yield from sorted(behaviour.misbehaviours.items())
