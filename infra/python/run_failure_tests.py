"""What `make test-failure` runs: two lanes of scenarios side by side, each scenario shown as it ends.

Most of a scenario is waiting: for calls, timeouts, servers that start. Those that break their Kafka and PostgreSQL share one
lane's pair; the others are spread so that both lanes end about together. A failure is shown with its seed:
FAILURE_SEED=N .venv/bin/python -m pytest FILE plays its random moments again.
"""

# ruff: noqa: INP001 - a script beside the locks, not part of a package
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from infra.python.run_tests import END_SECONDS, PYTEST, Lane, run_beside, say

SCENARIOS: Final = sorted(Path("tests/failure").glob("test_*.py"))
MARK: Final = "@breaks_servers"
BREAKING_SECONDS: Final = 50
OTHER_SECONDS: Final = 33
"""What scenarios of the two kinds took, on average."""


def lanes() -> tuple[Lane, Lane]:
    """Divide the scenarios: those that break the servers go to the first lane, and of the others as many as fit."""
    breaking = [path for path in SCENARIOS if MARK in path.read_text("utf-8")]
    others = [path for path in SCENARIOS if path not in breaking]
    ahead = len(breaking) * BREAKING_SECONDS // OTHER_SECONDS
    fitting = max(0, (len(others) - ahead) // 2)
    return _lane(breaking + others[:fitting]), _lane(others[fitting:])


def _lane(paths: Sequence[Path]) -> Lane:
    return Lane([(*PYTEST, *map(str, paths))], None)


def main() -> int:
    """Run both lanes to their ends; 1 if either failed."""
    started = time.monotonic()
    say(f"{len(SCENARIOS)} scenarios, 500 calls in flight each, in two lanes")
    code = run_beside(*lanes(), end_seconds=2 * END_SECONDS)
    say(f"{time.monotonic() - started:.0f} s in all")
    return code


if __name__ == "__main__":
    sys.exit(main())
