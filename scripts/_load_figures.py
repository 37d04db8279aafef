"""The arithmetic of a load test and its words: pure, the clock is an argument."""

import math
from array import array
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

PERCENTILES: Final = (50, 95, 99)
RECENT_SECONDS: Final = 10.0
BUSY_RATIO: Final = 0.85
"""From here on the script's own core is taken for what binds: the rest of it goes to the system's part of the work."""
FINAL: Final = ("succeeded", "dead_lettered", "cancelled")


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank); `ordered` is not empty."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


class RecentRate:
    """How fast a count grows, over the last RECENT_SECONDS."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, now: float, count: int) -> float:
        """Note the count; return what was added a second, 0 until two moments were seen."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RECENT_SECONDS:  # noqa: PLR2004 - a rate has two ends
            self._seen.popleft()
        since, before = self._seen[0]
        return (count - before) / (now - since) if now > since else 0.0


def remaining_seconds(left: int, rate: float) -> float | None:
    """Return how long the rest takes at this rate; None where nothing moves."""
    if left <= 0:
        return 0.0
    return left / rate if rate > 0 else None


def duration(seconds: float | None) -> str:
    """Write a time for people: "12 s", "17 min", "2 h 05 min"."""
    if seconds is None:
        return "unknown"
    if seconds < 100:  # noqa: PLR2004 - seconds are read up to about here
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"  # noqa: PLR2004 - an hour


def distinct_numbers(requests: int, duplicates: float) -> int:
    """How many different tokens `requests` requests carry."""
    return token_number(requests - 1, duplicates) + 1


def token_number(request: int, duplicates: float) -> int:
    """Which token a request carries, from 0; of any number of requests, the part `duplicates` repeats an earlier token."""
    return int(request * (1 - duplicates))


@dataclass(slots=True)
class Tally:
    """What became of the requests. `latencies` are seconds of those accepted, in single precision: 4 bytes a request."""

    accepted: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("f"))
    waits: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    uncertain: list[str] = field(default_factory=list)
    unanswered: int = 0

    def accept(self, seconds: float) -> None:
        """Note an accepted token."""
        self.accepted += 1
        self.latencies.append(seconds)

    @property
    def failed(self) -> int:
        """Tokens that were given up."""
        return self.errors.total()


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of this run. `outcomes`: outcome -> records since its start; `seconds`: from start to count."""

    outcomes: Mapping[str, int]
    seconds: float
    late: int = 0

    @property
    def settled(self) -> int:
        """Accepted tokens with a final outcome. A record that arrived although its POST got a 503 is none of them."""
        return sum(self.outcomes.get(outcome, 0) for outcome in FINAL) - self.late


def since(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Return what was added to each outcome; those that no record has are left out."""
    return {outcome: count - before.get(outcome, 0) for outcome, count in now.items() if count != before.get(outcome, 0)}


def summary(tally: Tally, *, requests: int, seconds: float, cpu_seconds: float) -> list[str]:
    """Return the lines about the sending."""
    ordered = sorted(tally.latencies)
    rate = tally.accepted / seconds if seconds > 0 else 0.0
    lines = [f"accepted   {tally.accepted:,} of {requests:,} in {seconds:.1f} s: {rate:,.0f} requests/s"]
    if ordered:
        shown = "  ".join(f"p{percent} {_milliseconds(percentile(ordered, percent))}" for percent in PERCENTILES)
        lines.append(f"latency    {shown}  max {_milliseconds(ordered[-1])}")
    lines += [f"waited     {count:,} times told to wait: {reason}" for reason, count in _most(tally.waits)]
    if tally.uncertain:
        lines.append(f"           of these, {len(tally.uncertain):,} were unacknowledged: they may be delivered as well")
    lines += [f"error      {count:,} tokens: {reason}" for reason, count in _most(tally.errors)] or ["errors     none"]
    unsent = requests - tally.accepted - tally.failed
    if unsent:
        lines.append(f"unsent     {unsent:,} tokens")
    busy = cpu_seconds / seconds if seconds > 0 else 0.0
    lines.append(f"client     {busy:.0%} of one core{_when_it_binds(busy)}")
    return lines


def stored_lines(stored: Stored, tally: Tally) -> list[str]:
    """Return the lines about the outcomes."""
    kinds = ", ".join(f"{outcome} {count:,}" for outcome, count in sorted(stored.outcomes.items())) or "none"
    rate = stored.settled / stored.seconds if stored.seconds > 0 else 0.0
    last = ", the last after" if stored.settled >= tally.accepted else " so far, after"
    lines = [
        f"stored     {stored.settled:,} of {tally.accepted:,}{last} {stored.seconds:.1f} s: {rate:,.0f} tokens/s",
        f"outcomes   {kinds}",
    ]
    if stored.late:
        lines.append(
            f"           {stored.late:,} of them are of records that arrived although their POST was answered with 503"
        )
    if tally.unanswered:
        lines.append(f"           up to {tally.unanswered:,} of them may be of requests that got no answer")
    return lines


def _when_it_binds(busy: float) -> str:
    return ": this script is what binds, not the API; run several at once" if busy >= BUSY_RATIO else ""


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"  # noqa: PLR2004 - three digits


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    return counts.most_common(20)
