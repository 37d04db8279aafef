"""Rounds of the failure suite at 2,000 calls in flight: `python -m bench.soak --minutes 45`.

Kills and rebalances first, then whichever scenario has the fewest rounds on the page, for as many as fit; each with a fresh
seed. What came of them is printed as a table and added to bench/SOAK.md. A round that fails is shown with its seed and the
ends of the workers' logs, and the others go on; exit code 1 where one failed. Ctrl-C ends it early, with the table of what
was run.
"""

import asyncio
import contextlib
import importlib
import inspect
import logging
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import psutil
import typer

from bench.soak_table import Soaks, Totals, added, lines, read, written
from tests.support.account import Result
from tests.support.servers import Servers, running_servers
from tests.support.world import SOAK, Size, World
from tests.support.worlds import running_world

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "bench" / "SOAK.md"
FIRST: Final = (
    "killed_worker",
    "two_kills",
    "killed_in_its_drain",
    "stopped_worker",
    "join_and_a_leave",
    "ten_joins",
    "rolling",
)
ROUND_SECONDS: Final = 400.0
USUAL_SECONDS: Final = 60.0
"""What a scenario is taken to need before its first round."""
GIB: Final = 1_073_741_824

Scenario = Callable[[World], Awaitable[object]]


@dataclass
class Soak:
    """What was run so far. `seconds`: scenario -> its longest round; `spent`: seconds of all rounds."""

    size: Size
    totals: dict[str, Totals] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    spent: float = 0.0

    def note(self, name: str, seed: int, result: Result | None, *, failed: bool, seconds: float) -> None:
        """Add one round; without a result it did not get as far as its account."""
        round_ = Totals(rounds=1, failed=int(failed))
        if result is not None:
            round_.lost, round_.duplicate_rows = result.lost, result.duplicate_rows
            round_.repeated, round_.bound, round_.paid_again = result.repeated, result.bound, result.paid_again
        self.totals = added(self.totals, {name: round_})
        self.seconds[name] = max(seconds, self.seconds.get(name, 0.0))
        self.spent += seconds
        if failed:
            self.failures.append(f"{name} (seed {seed})")


def soak(
    minutes: Annotated[float, typer.Option(min=0.5, help="Time for all rounds; none is begun that would not fit.")] = 45,
    only: Annotated[str, typer.Option(help="Only scenarios whose name contains this.")] = "",
    in_flight: Annotated[int, typer.Option(min=100, help="Calls in flight; only rounds of 2,000 go on the page.")] = 2_000,
) -> None:
    """Run rounds until the time is over, and account for each."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # outages are what this is about
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command has it ignored
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    run = Soak(Size(in_flight, in_flight * SOAK.tokens // SOAK.in_flight))
    chosen = _chosen(only)
    with (
        tempfile.TemporaryDirectory(prefix="tokenflow-soak-") as folder,
        running_servers(Path(folder)) as servers,
        contextlib.suppress(KeyboardInterrupt),
    ):
        started = time.monotonic()
        for name in _order(chosen):
            left = minutes * 60 - (time.monotonic() - started)
            if left < run.seconds.get(name, USUAL_SECONDS):
                break
            _round(run, servers, name, chosen[name])
    _report(run)
    raise typer.Exit(1 if run.failures else 0)


def _chosen(only: str) -> dict[str, Scenario]:
    """Find the scenarios of a world by their names; those of a fixed size are played by `make test-failure` alone."""
    found = {path.stem.removeprefix("test_").replace("_", " "): path for path in (ROOT / "tests/failure").glob("test_*.py")}
    scenarios = {name: _scenario(path) for name, path in sorted(found.items()) if only in name}
    chosen = {name: each for name, each in scenarios.items() if "world" in inspect.signature(each).parameters}
    if not chosen:
        raise typer.BadParameter(f"no scenario's name contains {only!r}")
    return chosen


def _order(chosen: Mapping[str, Scenario]) -> Iterator[str]:
    """Yield names without end: kills and rebalances, then always one that was played least often, page included."""
    played = Counter({name: _page().totals.get(name, Totals()).rounds for name in chosen})
    first = [name for word in FIRST for name in chosen if word.replace("_", " ") in name]
    while True:
        name = first.pop(0) if first else min(chosen, key=lambda each: (played[each], each))
        played[name] += 1
        yield name


def _scenario(path: Path) -> Scenario:
    """Import the one scenario of a file."""
    module = importlib.import_module(f"tests.failure.{path.stem}")
    (scenario,) = (
        each for name, each in vars(module).items() if name.startswith("test_") and inspect.iscoroutinefunction(each)
    )
    found: Scenario = scenario
    return found


def _round(run: Soak, servers: Servers, name: str, scenario: Scenario) -> None:
    seed = random.SystemRandom().randrange(2**32)
    began = time.monotonic()
    result, trouble = asyncio.run(_play(run.size, servers, name, scenario, seed))
    seconds = time.monotonic() - began
    run.note(name, seed, result, failed=bool(trouble), seconds=seconds)
    _say(f"{'FAILED' if trouble else 'ok':6} {name}\n       {result or f'seed {seed}: no account'}")
    if trouble:
        _say(trouble)


async def _play(size: Size, servers: Servers, name: str, scenario: Scenario, seed: int) -> tuple[Result | None, str]:
    """Run one round; return its account, and what was wrong with it, with the ends of the logs."""
    with tempfile.TemporaryDirectory(prefix="tokenflow-round-") as folder:
        async with running_world(servers.place, scenario=name, seed=seed, size=size, folder=Path(folder)) as world:
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await scenario(world)
            except Exception as error:  # noqa: BLE001 # lint: allow broad-except because the other rounds go on
                return world.result, f"{type(error).__name__}: {error}\n{world.log_tails()}"
            return world.result, ""


def _report(run: Soak) -> None:
    rounds = sum(each.rounds for each in run.totals.values())
    failures = f"failed: {'; '.join(run.failures)}" if run.failures else "none failed"
    _say("\n".join(lines(run.totals)))
    line = (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}, {_machine()}: {rounds} rounds in {run.spent / 60:.0f} min at"
        f" {run.size.in_flight:,} in flight, {failures}"
    )
    _say(line)
    if rounds and run.size == SOAK:
        PAGE.write_text(written(_page().with_run(run.totals, line)), "utf-8")


def _page() -> Soaks:
    return read(PAGE.read_text("utf-8") if PAGE.exists() else "")


def _commit() -> str:
    """Name the commit that is checked out, and whether files differ from it."""
    short = _git("rev-parse", "--short", "HEAD").strip()
    return short + (" with changes" if _git("status", "--porcelain", "--untracked-files=no").strip() else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603, S607 - our own words; whichever git there is


def _machine() -> str:
    memory = psutil.virtual_memory().total / GIB
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{psutil.cpu_count()} cores {platform.machine()}, {memory:.0f} GiB, {system}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(soak)
