"""The table on the screen, `bench/results.json` (what was measured, row by row) and `bench/RESULTS.md` made of it."""

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.harness.bench import Result

FOLDER = Path(__file__).parents[1]
RESULTS = FOLDER / "results.json"
DOCUMENT = FOLDER / "RESULTS.md"
LIBRARIES = (
    "aiohttp",
    "aiokafka",
    "asyncpg",
    "faststream",
    "uvloop",
    "msgspec",
    "faststream-concurrent-aiokafka",
    "pyreqwest",
)
HEAD = """\
# Results of `make bench`

Made by `python -m bench`, from `bench/results.json`. Each row against its own limit, measured in the same run on the same
machine: read the ratios. "us" = user and system CPU time of the worker process (all threads) per token whose row was
committed in the window; "core" = the part of a core that it used. The worker has a core of its own; Kafka, PostgreSQL and
the mock API share the others. Records are as `POST /tokens` makes them, and lie in the topic before the worker starts.
What is behind the figures, and what was tried: [docs/performance.md](../docs/performance.md).
"""


def show(results: Sequence[Result]) -> None:
    """Print rows."""
    table = Table("what", "measured", "goal", "limit, same run", "")
    for each in results:
        table.add_row(each.what, each.measured, each.goal, each.limit, _verdict(each))
    Console(width=190).print(table)


def keep(row: str, results: Sequence[Result], *, note: str) -> None:
    """Put a row's results in the place of those of its last run."""
    kept = _read()
    kept[row] = {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _commit(),
        "load": [round(each, 2) for each in os.getloadavg()],
        "note": note,
        "machine": _machine(),
        "versions": _versions(),
        "results": [asdict(each) for each in results],
    }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def write_document(rows: Sequence[str], pictures: Sequence[str]) -> None:
    """Write RESULTS.md: the rows in this order."""
    kept = _read()
    parts = [HEAD]
    measured = [row for row in rows if row in kept]
    parts.extend(f"Machine: {machine}.\n" for machine in sorted({kept[row]["machine"] for row in measured}))
    parts.extend(f"Versions: {versions}.\n" for versions in sorted({kept[row]["versions"] for row in measured}))
    parts.extend(_section(row, kept[row]) for row in measured)
    parts.extend(f"![{name}](plots/{name}.png)\n" for name in pictures)
    DOCUMENT.write_text("\n".join(parts))


def _section(row: str, kept: dict[str, Any]) -> str:
    load = ", ".join(f"{each:.2f}" for each in kept["load"])
    lines = [
        f"## {row}\n",
        f"{kept['when']}, commit {kept['commit']}, load average at the end {load}. {kept['note']}".rstrip() + "\n",
        "| what | measured | goal | limit, same run | |",
        "|---|---|---|---|---|",
    ]
    for each in (Result(**fields) for fields in kept["results"]):
        measured = each.measured.replace("\n", " ").replace("|", "/")
        lines.append(f"| {each.what} | {measured} | {each.goal} | {each.limit} | {_verdict(each)} |")
    return "\n".join(lines) + "\n"


def _verdict(result: Result) -> str:
    return "" if result.met is None else "met" if result.met else "MISSED"


def _read() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return kept


def _commit() -> str:
    """Name the commit, and say when the tree differs from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    return f"{commit} with changes" if _git("status", "--porcelain", "consumers", "topics", "bench/table") else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=False)  # noqa: S603, S607 - git of the path
    return done.stdout.strip() or ("unknown" if done.returncode else "")


def _machine() -> str:
    names = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{names[0] if names else platform.machine()}, {len(names)} cores (virtual), {memory:.0f} GiB, {platform.release()}"
    )


def _versions() -> str:
    found = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return ", ".join([f"Python {platform.python_version()}", *found, "Kafka and PostgreSQL of the local stack"])
