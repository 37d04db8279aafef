"""The account of a scenario: what was produced, what may be repeated, and what came of it. Pure but for the clock.

It is drawn up the same way everywhere: nothing lost, no row twice, no stored answer paid for again, and the workers' own
bound of the repeats true. A token is called as often as its row says that it was tried; each call beyond that must have been
at risk, and, in a scenario with retries, none may be missing.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """A final row: its token, when it was written (seconds since 1970), and what else the audit of retries compares."""

    token: str
    settled_at: float
    attempt: int = 1
    outcome: str = "succeeded"
    redrive_count: int = 0
    record_id: str = ""
    error_kind: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A call that was not the first of its token, and when it began (seconds since 1970)."""

    token: str
    at: float


@dataclass(frozen=True, slots=True)
class Risk:
    """A moment at which what was called in these partitions, and was not stored by then, could get lost with its worker.

    `called`: token -> calls until then; `tried`: token -> the attempt that its row had, where it had one that is not final.
    """

    at: float
    partitions: frozenset[int]
    called: Mapping[str, int]
    tried: Mapping[str, int] = field(default_factory=dict)

    def covers(self, token: str, partition: int, settled_at: float | None) -> bool:
        """Whether a call of the token was under way, or made and not stored."""
        unsaved = self.called.get(token, 0) > self.tried.get(token, 0)
        return unsaved and partition in self.partitions and (settled_at is None or settled_at > self.at)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a scenario. `bound`: repeats that were allowed; `counted`: what the workers admitted, None if nothing."""

    scenario: str
    seed: int
    tokens: int
    lost: int
    duplicate_rows: int
    repeated: int
    bound: int
    paid_again: int
    counted: int | None
    seconds: float
    uncalled: int = 0
    """Attempts that were spent without a call that the API saw: it was away."""
    retries: int = 0
    dead: int = 0

    def __str__(self) -> str:
        repeated = f"{self.repeated} (bound {self.bound}, counted {self.counted}, stored ones {self.paid_again})"
        return (
            f"seed {self.seed}: {self.tokens:,} tokens, lost {self.lost}, duplicate rows {self.duplicate_rows},"
            f" repeated {repeated}, {self.seconds:.0f} s{self._retried()}"
        )

    def _retried(self) -> str:
        return f"; {self.retries:,} retries, {self.dead:,} dead letters" if self.retries else ""


@dataclass(slots=True)
class Account:
    """What the end is compared with. `placed`: token -> its partition and offset."""

    scenario: str
    seed: int
    placed: dict[str, tuple[int, int]] = field(default_factory=dict)
    risks: list[Risk] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def put_at_risk(
        self, partitions: Collection[int], calls: Mapping[str, int], tried: Mapping[str, int] | None = None
    ) -> None:
        """Note that whoever worked on these partitions lost, just now, what it had in flight; `calls` by any worker."""
        self.risks.append(Risk(time.time(), frozenset(partitions), dict(calls), dict(tried or {})))

    def close(
        self,
        rows: Sequence[Row],
        calls: Mapping[str, int],
        repeats: Sequence[Repeat],
        *,
        counted: int | None,
        beyond_at_most: int = 0,
        before_redrive: Mapping[str, int] | None = None,
    ) -> "Statement":
        """Draw the account up; `beyond_at_most` calls may be repeated without having been at risk.

        `before_redrive`: token -> attempts of it that a later redrive does not count any more.
        """
        settled = {row.token: row.settled_at for row in rows}
        outcomes = {row.token: row.outcome for row in rows}
        again = [
            f"{repeat.token} {repeat.at - settled[repeat.token]:.2f} s after it had {outcomes[repeat.token]}"
            for repeat in repeats
            if repeat.at > settled.get(repeat.token, repeat.at)
        ]
        planned = Counter(before_redrive or {})
        planned.update({row.token: row.attempt for row in rows})
        allowed = Counter(
            token
            for risk in self.risks
            for token in risk.called.keys() & self.placed.keys()
            if risk.covers(token, self.placed[token][0], settled.get(token))
        )
        more = {token: count - max(1, planned[token]) for token, count in calls.items() if count > max(1, planned[token])}
        result = Result(
            self.scenario,
            self.seed,
            tokens=len(self.placed),
            lost=len(self.placed.keys() - settled.keys()),
            duplicate_rows=len(rows) - len(settled),
            repeated=sum(more.values()),
            bound=allowed.total() + beyond_at_most,
            paid_again=len(again),
            counted=counted,
            seconds=time.monotonic() - self.started,
            uncalled=sum(max(0, attempts - calls.get(token, 0)) for token, attempts in planned.items()),
            retries=sum(max(0, row.attempt - 1) for row in rows),
            dead=sum(row.outcome == "dead_lettered" for row in rows),
        )
        beyond = {token: count - allowed[token] for token, count in more.items() if count > allowed[token]}
        return Statement(result, beyond, beyond_at_most, sorted(settled.keys() - self.placed.keys()), again)


@dataclass(frozen=True, slots=True)
class Statement:
    """An account that was drawn up. `beyond`: token -> calls that neither its attempts nor its risks explain."""

    result: Result
    beyond: Mapping[str, int]
    beyond_at_most: int
    strangers: Sequence[str]
    again: Sequence[str]

    def complaints(
        self, *, paid_again_at_most: int = 0, unscraped_at_most: int = 0, uncalled_at_most: int | None = None
    ) -> list[str]:
        """Say what is not as promised, a sentence each; nothing where all is well.

        `unscraped_at_most`: what a worker that stopped may have counted after its last scrape; `uncalled_at_most`: attempts
        that may have been spent without a call, None = that is not looked at.
        """
        result = self.result
        unexplained = sum(self.beyond.values())
        found = [
            (result.lost, f"{result.lost} tokens have no final row"),
            (result.duplicate_rows, f"{result.duplicate_rows} final rows too many"),
            (self.strangers, f"rows of tokens that nobody produced: {self.strangers[:5]}"),
            (
                unexplained > self.beyond_at_most,
                f"{unexplained} calls were repeated that were not in flight and unsaved: {self._some_beyond()}",
            ),
            (
                uncalled_at_most is not None and result.uncalled > uncalled_at_most,
                f"{result.uncalled} attempts were spent without a call, at most {uncalled_at_most} may be",
            ),
            (
                result.paid_again > paid_again_at_most,
                f"{result.paid_again} stored answers were paid for again, {paid_again_at_most} may be: {self._some_again()}",
            ),
            (
                result.counted is not None and result.repeated > result.counted + unscraped_at_most,
                f"{result.repeated} calls were repeated, but tokens_repeated_calls_total adds up to {result.counted}",
            ),
        ]
        return [sentence for guilty, sentence in found if guilty]

    def _some_beyond(self) -> str:
        return ", ".join(f"{token} {calls} too many" for token, calls in list(self.beyond.items())[:5])

    def _some_again(self) -> str:
        return ", ".join(self.again[:5])
