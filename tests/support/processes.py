"""What runs on this machine, as tests ask it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
END_SECONDS = 30


def descendants(pid: int) -> list[psutil.Process]:
    """List every process below `pid` now."""
    return psutil.Process(pid).children(recursive=True)


def assert_ended(processes: Sequence[psutil.Process]) -> None:
    """Assert that none of them runs any more."""
    running = still_running(processes)
    assert not running, running


def still_running(processes: Sequence[psutil.Process]) -> list[str]:
    """Name those that still run: a zombie has ended, and one that was given the same id again is another process."""
    names = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                names.append(f"{process.pid} {' '.join(process.cmdline())[-60:]}")
        except psutil.NoSuchProcess:  # it ended between two of the questions
            continue
    return names


@contextmanager
def python(code: str, *arguments: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run Python code of ours in a process of its own; killed when the block ends."""
    process = subprocess.Popen(  # noqa: S603 - code of the test
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=END_SECONDS)
