"""What `make test-failure` runs: two lanes of scenarios side by side, each scenario shown as it ends.

One lane breaks its own Kafka and PostgreSQL, and waits for outages to pass; the other breaks everything else. Both mostly
wait. A failure is shown with its seed: FAILURE_SEED=N .venv/bin/python -m pytest FILE plays its random moments again.
"""

# ruff: noqa: INP001 - a script beside the locks, not part of a package
import sys
import time
from pathlib import Path
from typing import Final

from infra.python.run_tests import END_SECONDS, PYTEST, Lane, run_beside, say

SCENARIOS: Final = sorted(Path("tests/failure").glob("test_*.py"))
MARK: Final = "@breaks_servers"


def lanes() -> tuple[Lane, Lane]:
    """Divide the scenarios: those that break the servers, and the others."""
    breaking = {path for path in SCENARIOS if MARK in path.read_text("utf-8")}
    others = [path for path in SCENARIOS if path not in breaking]
    first, second = ([(*PYTEST, *map(str, paths))] for paths in (sorted(breaking), others))
    return Lane(first, None), Lane(second, None)


def main() -> int:
    """Run both lanes to their ends; 1 if either failed."""
    started = time.monotonic()
    say(f"{len(SCENARIOS)} scenarios, 500 calls in flight each, in two lanes")
    code = run_beside(*lanes(), end_seconds=2 * END_SECONDS)
    say(f"{time.monotonic() - started:.0f} s in all")
    return code


if __name__ == "__main__":
    sys.exit(main())
