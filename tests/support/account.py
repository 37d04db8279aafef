"""The account of a scenario: what was produced, what may be repeated, and what came of it. Pure but for the clock.

It is drawn up the same way everywhere: nothing lost, no row twice, no call repeated that was not at risk, no stored answer
paid for again, and the workers' own bound of the repeats true.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """A final row: its token, and when it was written (seconds since 1970)."""

    token: str
    settled_at: float


@dataclass(frozen=True, slots=True)
class Repeat:
    """A call that was not the first of its token, and when it began (seconds since 1970)."""

    token: str
    at: float


@dataclass(frozen=True, slots=True)
class Risk:
    """A moment at which what was called in these partitions, and was not stored by then, could get lost with its worker."""

    at: float
    partitions: frozenset[int]
    called: frozenset[str]


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

    def __str__(self) -> str:
        repeated = f"{self.repeated} (bound {self.bound}, counted {self.counted}, stored ones {self.paid_again})"
        return (
            f"seed {self.seed}: {self.tokens:,} tokens, lost {self.lost}, duplicate rows {self.duplicate_rows},"
            f" repeated {repeated}, {self.seconds:.0f} s"
        )


@dataclass(slots=True)
class Account:
    """What the end is compared with. `placed`: token -> its partition and offset."""

    scenario: str
    seed: int
    placed: dict[str, tuple[int, int]] = field(default_factory=dict)
    risks: list[Risk] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def put_at_risk(self, partitions: Collection[int], calls: Mapping[str, int]) -> None:
        """Note that whoever worked on these partitions lost, just now, what it had in flight; `calls` by any worker."""
        self.risks.append(Risk(time.time(), frozenset(partitions), frozenset(calls)))

    def close(
        self,
        rows: Sequence[Row],
        calls: Mapping[str, int],
        repeats: Sequence[Repeat],
        *,
        counted: int | None,
        beyond_at_most: int = 0,
    ) -> "Statement":
        """Draw the account up; `beyond_at_most` calls may be repeated without having been at risk."""
        settled = {row.token: row.settled_at for row in rows}
        allowed = Counter(
            token
            for risk in self.risks
            for token in risk.called & self.placed.keys()
            if self.placed[token][0] in risk.partitions and settled.get(token, risk.at + 1) > risk.at
        )
        result = Result(
            self.scenario,
            self.seed,
            tokens=len(self.placed),
            lost=len(self.placed.keys() - settled.keys()),
            duplicate_rows=len(rows) - len(settled),
            repeated=sum(calls.values()) - len(calls),
            bound=allowed.total() + beyond_at_most,
            paid_again=sum(repeat.at > settled.get(repeat.token, repeat.at) for repeat in repeats),
            counted=counted,
            seconds=time.monotonic() - self.started,
        )
        beyond = {token: count for token, count in calls.items() if count > 1 + allowed[token]}
        return Statement(result, beyond, beyond_at_most, sorted(settled.keys() - self.placed.keys()))


@dataclass(frozen=True, slots=True)
class Statement:
    """An account that was drawn up. `beyond`: token -> calls, where more were made than its risks explain."""

    result: Result
    beyond: Mapping[str, int]
    beyond_at_most: int
    strangers: Sequence[str]

    def complaints(self, *, paid_again_at_most: int = 0, unscraped_at_most: int = 0) -> list[str]:
        """Say what is not as promised, a sentence each; nothing where all is well.

        `unscraped_at_most`: what a worker that stopped may have counted after its last scrape.
        """
        result = self.result
        found = [
            (result.lost, f"{result.lost} tokens have no final row"),
            (result.duplicate_rows, f"{result.duplicate_rows} final rows too many"),
            (self.strangers, f"rows of tokens that nobody produced: {self.strangers[:5]}"),
            (
                len(self.beyond) > self.beyond_at_most,
                f"{len(self.beyond)} tokens were called again that were not in flight and unsaved: {self._some_beyond()}",
            ),
            (
                result.paid_again > paid_again_at_most,
                f"{result.paid_again} stored answers were paid for again, at most {paid_again_at_most} may be",
            ),
            (
                result.counted is not None and result.repeated > result.counted + unscraped_at_most,
                f"{result.repeated} calls were repeated, but tokens_repeated_calls_total adds up to {result.counted}",
            ),
        ]
        return [sentence for guilty, sentence in found if guilty]

    def _some_beyond(self) -> str:
        return ", ".join(f"{token} {calls} times" for token, calls in list(self.beyond.items())[:5])
