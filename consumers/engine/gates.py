"""What may hold calls back: the provider asks for a pause, refuses our credentials, is away, or an operator says so. Pure.

A record that meets a closed gate stays ready and spends nothing. `permit` is asked before each call, `ended` told after
each. Mutated by the lanes, and by an operator's orders between two of their steps.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from consumers.engine.breaker import Guard, breaker, flood_guard

RATE_LIMIT_SECONDS = 1.0
"""Pause after a 429 that does not say how long."""
RATE_LIMIT_MOST_SECONDS = 3_600.0
DEFERRALS = 10
"""So often in a row a record may meet a rate limit; then it counts as a failed attempt."""
EXCERPT = 120


class Permit(Enum):
    """Whether a call may start."""

    OPEN = auto()
    PROBE = auto()  # one, to find out whether it is over
    CLOSED = auto()


class GateName(StrEnum):
    """The gates, as metrics and operators call them."""

    OPERATOR = "operator"
    MISCONFIGURED = "misconfigured"
    RATE_LIMITED = "rate_limited"
    BREAKER = "breaker"
    DLQ_FLOOD = "dlq_flood"


class Ending(Enum):
    """How a call ended, as far as gates care."""

    ANSWERED = auto()
    REFUSED = auto()  # the provider is there, and this record will not succeed
    OUTAGE = auto()  # transport, time-out or 5xx
    UNREACHABLE = auto()  # connection refused, DNS, TLS: an outage whatever was asked, and how often
    RATE_LIMITED = auto()
    MISCONFIGURED = auto()
    OTHER = auto()  # an answer that does not parse, a bug of ours


@dataclass(frozen=True, slots=True)
class ClosedGate:
    """A gate that is closed; `since` and `until` on the engine's clock, None = until somebody opens it or a probe does."""

    name: GateName
    why: str
    since: float
    until: float | None = None


class Gates:
    """The gates of one provider in one worker. The clock is an argument, in seconds."""

    def __init__(self, *, flood_ratio: float) -> None:
        self._breaker = breaker()
        self._flood: Guard | None = flood_guard(flood_ratio) if flood_ratio else None
        self._shut: dict[GateName, ClosedGate] = {}  # until opened, or until a time

    def closed(self, now: float) -> list[ClosedGate]:
        """List the gates that are closed."""
        self._expire(now)
        found = list(self._shut.values())
        for name, guard in self._guards():
            if guard.since is not None:
                errors = "; ".join(f"{count} x {error}" for error, count in guard.top_errors())
                found.append(ClosedGate(name, errors, guard.since))
        return found

    def permit(self, now: float) -> Permit:
        """Say whether a call may start."""
        if not self._shut and not self._breaker.closed and (self._flood is None or not self._flood.closed):
            return Permit.OPEN
        self._expire(now)
        if self._shut:
            return Permit.CLOSED
        guards = [guard for _, guard in self._guards() if guard.closed]
        if not guards:
            return Permit.OPEN
        return Permit.PROBE if all(guard.may_probe(now) for guard in guards) else Permit.CLOSED

    def wait_seconds(self, now: float) -> float | None:
        """How long until `permit` may say something else by itself; None = not before somebody opens a gate."""
        ends = [gate.until for gate in self._shut.values()]
        if None in ends:
            return None
        waits = [end - now for end in ends if end is not None]
        waits += [guard.wait_seconds(now) for _, guard in self._guards() if guard.closed]
        return max(waits, default=None)

    def begin_probe(self) -> None:
        """Note that the call that starts is a probe."""
        for _, guard in self._guards():
            if guard.closed:
                guard.begin_probe()

    def end_probe(self, ending: Ending | None, *, now: float) -> bool:
        """Note how a probe went, None = it was given back; whether it was good enough for every guard.

        An answer opens both guards, a refusal the breaker alone: the provider is there.
        """
        self._breaker.end_probe(now=now, succeeded=ending in {Ending.ANSWERED, Ending.REFUSED})
        if self._flood is not None:
            self._flood.end_probe(now=now, succeeded=ending is Ending.ANSWERED)
        return not any(guard.closed for _, guard in self._guards())

    def ended(self, ending: Ending, *, first: bool, error: str = "", now: float) -> list[GateName]:
        """Count how a call ended, `first` = on a record's first attempt; return the gates that it closed.

        Retries count for nothing (else due poison would hold the gate for ever), unless nobody could be reached.
        """
        excerpt = error[:EXCERPT] or ending.name.lower()
        closed: list[GateName] = []
        if first or ending is Ending.UNREACHABLE:
            outage = ending in {Ending.OUTAGE, Ending.UNREACHABLE}
            if self._breaker.note(excerpt if outage else None, now=now):
                closed.append(GateName.BREAKER)
        if first and self._flood is not None and ending in {Ending.ANSWERED, Ending.REFUSED}:
            refused = excerpt if ending is Ending.REFUSED else None
            closed += [GateName.DLQ_FLOOD] if self._flood.note(refused, now=now) else []
        return closed

    def defers(self, ending: Ending, *, deferrals: int) -> bool:
        """Whether a record whose call ended so stays ready and spends nothing; `deferrals`: how often in a row it did."""
        match ending:
            case Ending.RATE_LIMITED:
                return deferrals < DEFERRALS
            case Ending.MISCONFIGURED:
                return True
            case Ending.OUTAGE | Ending.UNREACHABLE:
                return self._breaker.closed
            case _:
                return False

    def limit_rate(self, seconds: float | None, *, now: float) -> None:
        """Close for as long as the provider asks; a longer pause that is on already stays."""
        wait = RATE_LIMIT_SECONDS if seconds is None else min(max(0.0, seconds), RATE_LIMIT_MOST_SECONDS)
        present = self._shut.get(GateName.RATE_LIMITED)
        if present is None or (present.until or 0.0) < now + wait:
            since = now if present is None else present.since
            self._shut[GateName.RATE_LIMITED] = ClosedGate(
                GateName.RATE_LIMITED, "the provider asks for a pause", since, now + wait
            )

    def close(self, name: GateName, why: str, *, now: float) -> bool:
        """Close until it is opened by hand; False if it was closed already."""
        if name in self._shut:
            return False
        self._shut[name] = ClosedGate(name, why[:EXCERPT], now)
        return True

    def open(self, name: GateName) -> None:
        """Open a gate by hand. Idempotent; what closed it may close it again."""
        self._shut.pop(name, None)
        for guard_name, guard in self._guards():
            if guard_name is name:
                guard.open()

    def _guards(self) -> list[tuple[GateName, Guard]]:
        flood = [] if self._flood is None else [(GateName.DLQ_FLOOD, self._flood)]
        return [(GateName.BREAKER, self._breaker), *flood]

    def _expire(self, now: float) -> None:
        gate = self._shut.get(GateName.RATE_LIMITED)
        if gate is not None and gate.until is not None and now >= gate.until:
            del self._shut[GateName.RATE_LIMITED]
