"""Which process runs the stack of a folder: `.tokenflow/parent.json`, beside the lock that says that one does.

The kernel releases the lock however the parent ends, so a held lock means a living parent; the file says which, with its
start time, so that a process id that was given away again is never taken for ours. A clean stop removes the file: one that
stands beside a free lock tells of a parent that was killed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from infra.local.state import StateFolder

SAME_SECONDS: Final = 1.0
"""Start times are kept by the kernel in hundredths of a second and turned into a date by a clock that may be corrected."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The process that runs a stack; `started` is its start time, in seconds since the epoch."""

    pid: int
    started: float

    @property
    def alive(self) -> bool:
        """Tell whether this very process still runs; one that ended and was not collected by its own parent does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < SAME_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@contextmanager
def announced(state: StateFolder) -> Iterator[bool]:
    """Say that this process runs the stack of a folder that it holds, until the block ends.

    Yields True when the parent before was killed: then its children may still be ending.
    """
    file = _file(state)
    was_killed = file.exists()
    file.write_text(json.dumps(asdict(Parent(os.getpid(), psutil.Process().create_time()))))
    try:
        yield was_killed
    finally:
        file.unlink(missing_ok=True)


def parent_of(state: StateFolder) -> Parent | None:
    """Find the parent that runs the stack of a folder now, or None."""
    if not state.is_held():
        return None
    try:
        parent = Parent(**json.loads(_file(state).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return parent if parent.alive else None


def _file(state: StateFolder) -> Path:
    return state.root / "parent.json"
