"""The table of all soak rounds so far, as bench/SOAK.md keeps it: read, added to, written. Pure.

The file is its own memory: what `written` writes, `read` reads.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

HEAD: Final = """\
# Soak

Every scenario of `tests/failure`, round after round with fresh seeds, at 2,000 calls in flight; `make soak MINUTES=45` adds
to this page. A round has failed where anything is not as promised, or where it did not come to its end. `repeated` are calls
that the mock saw again, `bound` what was in flight and unsaved when a fault struck (and what a scenario allows beside that,
where it says so), `paid again` calls for an answer that was stored already.
"""
COLUMNS: Final = ("scenario", "rounds", "failed", "lost", "duplicate rows", "repeated", "bound", "paid again")
RUNS_HEADING: Final = "## Runs"
NOTES_HEADING: Final = "## What the faults found"
_ROW: Final = re.compile(r"^\| ([^|]+?) \|" + r" ([0-9,]+) \|" * (len(COLUMNS) - 1) + "$", re.MULTILINE)


@dataclass(slots=True)
class Totals:
    """Sums over the rounds of one scenario, in the order of COLUMNS."""

    rounds: int = 0
    failed: int = 0
    lost: int = 0
    duplicate_rows: int = 0
    repeated: int = 0
    bound: int = 0
    paid_again: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Soaks:
    """All that the page says: scenario -> its totals, and a line for each run of the command, oldest first."""

    totals: Mapping[str, Totals]
    runs: Sequence[str]
    notes: str = ""
    """What people wrote about them, kept as it is."""

    def with_run(self, totals: Mapping[str, Totals], line: str) -> "Soaks":
        """Add what one run brought, and its line."""
        return replace(self, totals=added(self.totals, totals), runs=[*self.runs, line])


def added(first: Mapping[str, Totals], second: Mapping[str, Totals]) -> dict[str, Totals]:
    """Add two tables."""
    names = sorted(first.keys() | second.keys())
    return {name: first.get(name, Totals()) + second.get(name, Totals()) for name in names}


def read(page: str) -> Soaks:
    """Read a page that `written` wrote; an empty one has no rounds."""
    rows = ((found[1], [int(number.replace(",", "")) for number in found.groups()[1:]]) for found in _ROW.finditer(page))
    page, _, notes = page.partition(f"{NOTES_HEADING}\n\n")
    _, _, runs = page.partition(RUNS_HEADING)
    lines_of_runs = [line[2:] for line in runs.splitlines() if line.startswith("- ")]
    return Soaks({name: Totals(*numbers) for name, numbers in rows}, lines_of_runs, notes)


def written(soaks: Soaks) -> str:
    """Write the page."""
    table = "\n".join(lines(soaks.totals))
    runs = "\n".join(f"- {line}" for line in soaks.runs)
    notes = f"\n{NOTES_HEADING}\n\n{soaks.notes}" if soaks.notes else ""
    return f"{HEAD}\n{table}\n\n{RUNS_HEADING}\n\n{runs}\n{notes}"


def lines(totals: Mapping[str, Totals]) -> Iterable[str]:
    """Yield the lines of a table: a row a scenario. The sum of all is told by whoever wants it: it has no row here."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|---|{'---:|' * (len(COLUMNS) - 1)}"
    for name, each in totals.items():
        numbers = (f"{getattr(each, column.name):,}" for column in fields(each))
        yield f"| {name} | {' | '.join(numbers)} |"
