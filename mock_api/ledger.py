"""The count of calls: the witness of "no token is paid for twice". No I/O; only the event loop's thread changes it.

A call is counted when its request has been read, before anything can go wrong with its answer. A call ends exactly once:
answered (200), failed (500) or disconnected (the caller left first).
"""

from dataclasses import dataclass, field
from typing import Literal

End = Literal["answered", "failed", "disconnected"]


@dataclass(slots=True)
class Ledger:
    """Counts since the last reset. `calls_by_token` maps each token to its calls; `in_flight` outlives a reset."""

    calls: int = 0
    calls_by_token: dict[str, int] = field(default_factory=dict)
    max_calls_of_one_token: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    answered: int = 0
    failed: int = 0
    disconnected: int = 0
    epoch: int = 0

    def begin(self, token: str) -> int:
        """Count a call whose request has been read; return which call of this token it is, from 1."""
        number = self.calls_by_token.get(token, 0) + 1
        self.calls_by_token[token] = number
        self.calls += 1
        self.in_flight += 1
        self.max_calls_of_one_token = max(self.max_calls_of_one_token, number)
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return number

    def end(self, end: End, epoch: int) -> None:
        """Note how a call ended. One that began before the last reset (an older epoch) only leaves `in_flight`."""
        self.in_flight -= 1
        if epoch != self.epoch:
            return
        match end:
            case "answered":
                self.answered += 1
            case "failed":
                self.failed += 1
            case "disconnected":
                self.disconnected += 1

    def reset(self) -> None:
        """Start counting anew; calls that are running stay in flight and count for nothing else."""
        self.calls = self.max_calls_of_one_token = 0
        self.answered = self.failed = self.disconnected = 0
        self.calls_by_token = {}
        self.max_in_flight = self.in_flight
        self.epoch += 1

    def summary(self) -> dict[str, int]:
        """Return the totals by name; `repeated_calls` is what was bought more than once."""
        return {
            "calls": self.calls,
            "distinct_tokens": len(self.calls_by_token),
            "repeated_calls": self.calls - len(self.calls_by_token),
            "max_calls_of_one_token": self.max_calls_of_one_token,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "answered": self.answered,
            "failed": self.failed,
            "disconnected": self.disconnected,
        }
