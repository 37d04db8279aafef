"""What every part does with its process: start it under a guard, wait for its end, end it, say how it ended."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.errors import LocalStackError
from infra.local.guard import GuardedProcess
from infra.local.parts import PartError

POLL_SECONDS: Final = 0.05
LAST_LINES: Final = 8
KILL_SECONDS: Final = 10.0
"""SIGKILL works at once; the rest is for a machine under load."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to run a process of ours: argument list, whole environment (asked for at each start), log file."""

    argv: Sequence[str]
    environment: Callable[[], Mapping[str, str]]
    log_path: Path


def launch(name: str, command: Command) -> GuardedProcess:
    """Start the process of a part.

    Raises:
        PartError: its program cannot be started.

    """
    command.log_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return GuardedProcess.start(command.argv, env=command.environment(), log_path=command.log_path)
    except LocalStackError as error:
        raise PartError(f"{name}: {error}") from error


async def ended(process: GuardedProcess, seconds: float, hurry: asyncio.Event | None = None) -> bool:
    """Wait until the process has ended (True), or the time is over or `hurry` is set (False)."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline or (hurry is not None and hurry.is_set()):
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def end(
    process: GuardedProcess | None,
    hurry: asyncio.Event,
    *,
    deadline_seconds: float,
    hurried_seconds: float = 0.0,
    stop_signal: int = signal.SIGTERM,
) -> tuple[str, str]:
    """Ask a process to end and wait, or kill it; the state to show, and a detail. Legal in every state.

    In a hurry the process still gets `hurried_seconds` to end in good order; with none it is not even asked.
    """
    if process is None or process.poll() is not None:
        return "stopped", ""
    asked = not hurry.is_set() or hurried_seconds > 0
    if asked:
        process.signal(stop_signal)
    in_time = asked and not hurry.is_set() and await ended(process, deadline_seconds, hurry)
    if in_time or (hurry.is_set() and await ended(process, hurried_seconds)):
        code = process.poll()
        as_asked = code in {0, -stop_signal, 128 + stop_signal}  # the last is how Java says it
        return "stopped", "" if as_asked else f"exit code {code}"
    await put_down(process)
    return "killed", "" if hurry.is_set() else f"it had not ended after {deadline_seconds:.0f} s"


async def put_down(process: GuardedProcess) -> None:
    """Kill a process and wait until nothing of it is left."""
    process.kill()
    await ended(process, KILL_SECONDS)


def epitaph(name: str, process: GuardedProcess | None) -> str:
    """Say how a process ended, with its last log lines."""
    code = None if process is None else process.poll()
    if process is None or code is None:
        return f"{name} does not run."
    how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    return f"{name} ended with {how}{quote(process)}"


def in_vain(name: str, process: GuardedProcess, seconds: float) -> str:
    """Say that a process was not ready in time, with its last log lines."""
    return f"{name} was not ready after {seconds:.0f} s{quote(process)}"


def quote(process: GuardedProcess) -> str:
    """Quote the last lines that a process wrote, four blanks before each, and name its log."""
    log, here = process.log_path, Path.cwd()
    name = log.relative_to(here) if log.is_relative_to(here) else log
    try:
        lines = "".join(f"\n    {line}" for line in process.last_lines(LAST_LINES))
    except FileNotFoundError:
        return f"; {name} was deleted."
    return f"; {name} ends with:{lines}" if lines else f"; {name} has no line of it."
