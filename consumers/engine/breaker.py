"""Two guards that stop calls which would only fail: a circuit breaker, and a guard against flooding the DLQ. Pure.

The breaker is about the provider: it is away or broken, whatever is asked. The flood guard is about what is asked: the
provider answers, and refuses most of it, because of a wrong setting or a bad upload. Both let one probe through at a time,
and open again by the first that succeeds; the flood guard by an operator as well.
"""

from collections import Counter, deque

BREAKER_CALLS = 100
BREAKER_MIN_CALLS = 20
BREAKER_RATIO = 0.5
BREAKER_PROBE_SECONDS = 1.0
"""Between two probes: recovery is seen within this and one call."""
FLOOD_RECORDS = 1_000
FLOOD_PROBE_SECONDS = 10.0
TOP_ERRORS = 3


class Guard:
    """Closed to calls when too large a part of the last ones went wrong. The clock is an argument, in seconds."""

    __slots__ = (
        "_errors",
        "_failures",
        "_minimum",
        "_next_probe",
        "_probe_seconds",
        "_probing",
        "_ratio",
        "_recent",
        "since",
    )

    def __init__(self, *, calls: int, minimum: int, ratio: float, probe_seconds: float) -> None:
        self._recent: deque[str | None] = deque(maxlen=calls)  # the error of each call, None where it went well
        self._errors: Counter[str] = Counter()
        self._failures = 0
        self._minimum = minimum
        self._ratio = ratio
        self._probe_seconds = probe_seconds
        self._probing = False
        self._next_probe = 0.0
        self.since: float | None = None

    @property
    def closed(self) -> bool:
        """Whether calls are held back."""
        return self.since is not None

    def note(self, error: str | None, *, now: float) -> bool:
        """Count how a call went; True if that closed the guard."""
        if self.closed:
            return False
        self._forget_oldest()
        self._recent.append(error)
        if error is not None:
            self._failures += 1
            self._errors[error] += 1
        if len(self._recent) < self._minimum or self._failures < self._ratio * len(self._recent):
            return False
        self.since = now
        self._next_probe = now + self._probe_seconds
        return True

    def may_probe(self, now: float) -> bool:
        """Whether a single call may find out if it is over."""
        return self.closed and not self._probing and now >= self._next_probe

    def wait_seconds(self, now: float) -> float:
        """How long until a probe may start; while one runs, its end is what is waited for."""
        return self._probe_seconds if self._probing else max(0.0, self._next_probe - now)

    def begin_probe(self) -> None:
        """Note that the probe runs."""
        self._probing = True

    def end_probe(self, *, now: float, succeeded: bool) -> None:
        """Note how the probe went; one that was given back says nothing, and counts as failed."""
        if not self._probing:
            return
        self._probing = False
        self._next_probe = now + self._probe_seconds
        if succeeded:
            self.open()

    def open(self) -> None:
        """Let calls through again, and forget what was before. Idempotent."""
        self._recent.clear()
        self._errors.clear()
        self._failures = 0
        self.since = None

    def top_errors(self) -> list[tuple[str, int]]:
        """List the most frequent errors among the last calls."""
        return self._errors.most_common(TOP_ERRORS)

    def _forget_oldest(self) -> None:
        if len(self._recent) != self._recent.maxlen or (oldest := self._recent[0]) is None:
            return
        self._failures -= 1
        self._errors[oldest] -= 1
        if not self._errors[oldest]:
            del self._errors[oldest]


def breaker() -> Guard:
    """Build a provider's circuit breaker: half of the last 100 calls, of 20 at least."""
    return Guard(calls=BREAKER_CALLS, minimum=BREAKER_MIN_CALLS, ratio=BREAKER_RATIO, probe_seconds=BREAKER_PROBE_SECONDS)


def flood_guard(ratio: float) -> Guard:
    """Build the guard of the DLQ: this part of the last 1,000 first attempts would be dead letters."""
    return Guard(calls=FLOOD_RECORDS, minimum=FLOOD_RECORDS, ratio=ratio, probe_seconds=FLOOD_PROBE_SECONDS)
