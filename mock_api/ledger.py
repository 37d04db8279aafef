"""The count of calls: the witness of "no token is paid for twice". No I/O; only the event loop's thread changes it.

A call is one token asked for: a batch of 100 ids is one request and 100 calls. It is counted when its request has been read,
before anything can go wrong with its answer, unless the request was refused at the door (rate limit, down), where nothing
was bought. A call ends exactly once, in one of ENDS.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time
from typing import Final, Literal, get_args

from mock_api.windows import SlidingCount

End = Literal["answered", "failed", "misbehaved", "left_out", "disconnected"]
"""A good answer; a status that is none; a misbehaviour; an id missing from its batch; the caller left first."""
ENDS: Final[tuple[End, ...]] = get_args(End)
Door = Literal["rate_limited", "refused_while_down"]


@dataclass(slots=True)
class Ledger:
    """Counts since the last reset. `calls_by_token` maps each token to its calls; `in_flight` outlives a reset."""

    calls: int = 0
    calls_by_token: dict[str, int] = field(default_factory=dict)
    max_calls_of_one_token: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    batches: int = 0
    calls_in_batches: int = 0
    ends: Counter[End] = field(default_factory=Counter)
    at_the_door: Counter[Door] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    misbehaviours: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    last_second: SlidingCount = field(default_factory=lambda: SlidingCount(1))
    """Requests for scores, also those refused at the door: what a caller's own rate limit is judged by."""
    repeats: list[tuple[str, float]] = field(default_factory=list)
    """Token and moment (seconds since 1970) of each call that was not the first of its token: what was bought again."""
    epoch: int = 0

    def arrive(self, now: float) -> None:
        """Note that a request for scores has been read, whatever comes of it."""
        self.requests += 1
        self.last_second.note(now)

    def refuse(self, door: Door) -> None:
        """Note that a request was refused before it became a call."""
        self.at_the_door[door] += 1

    def begin(self, token: str) -> int:
        """Count a call; return which call of this token it is, from 1."""
        number = self.calls_by_token.get(token, 0) + 1
        self.calls_by_token[token] = number
        self.max_calls_of_one_token = max(self.max_calls_of_one_token, number)
        if number > 1:
            self.repeats.append((token, time()))
        self._began(1)
        return number

    def begin_batch(self, tokens: Sequence[str]) -> list[int]:
        """Count a call of each id, an id twice where it stands twice; return their numbers, in the same order."""
        by_token, numbers = self.calls_by_token, list[int]()
        for token in tokens:
            by_token[token] = number = by_token.get(token, 0) + 1
            numbers.append(number)
            if number > 1:
                self.repeats.append((token, time()))
        self.max_calls_of_one_token = max(self.max_calls_of_one_token, *numbers)
        self.batches += 1
        self.calls_in_batches += len(tokens)
        self._began(len(tokens))
        return numbers

    def end(self, end: End, epoch: int, calls: int = 1) -> None:
        """Note how calls ended. What began before the last reset (an older epoch) only leaves `in_flight`."""
        self.in_flight -= calls
        if epoch == self.epoch and calls:
            self.ends[end] += calls

    def reset(self) -> None:
        """Start counting anew; calls that are running stay in flight and count for nothing else."""
        self.calls = self.max_calls_of_one_token = self.batches = self.calls_in_batches = self.requests = 0
        self.calls_by_token = {}
        self.repeats = []
        for counts in (self.ends, self.at_the_door, self.statuses, self.misbehaviours):
            counts.clear()
        self.last_second.reset()
        self.max_in_flight = self.in_flight
        self.epoch += 1

    def summary(self, now: float) -> dict[str, object]:
        """Return the totals by name; `repeated_calls` is what was bought more than once."""
        return {
            "calls": self.calls,
            "distinct_tokens": len(self.calls_by_token),
            "repeated_calls": self.calls - len(self.calls_by_token),
            "max_calls_of_one_token": self.max_calls_of_one_token,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            **{end: self.ends[end] for end in ENDS},
            "batches": self.batches,
            "calls_in_batches": self.calls_in_batches,
            "requests": self.requests,
            "requests_in_the_last_second": self.last_second.count(now),
            "max_requests_in_a_second": self.last_second.largest,
            "rate_limited": self.at_the_door["rate_limited"],
            "refused_while_down": self.at_the_door["refused_while_down"],
            "statuses": dict(sorted(self.statuses.items())),
            "misbehaviours": dict(sorted(self.misbehaviours.items())),
        }

    def _began(self, calls: int) -> None:
        self.calls += calls
        self.in_flight += calls
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
