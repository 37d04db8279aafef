"""The guard of one child process: a script of its own, so that it starts in milliseconds and imports nothing of ours.

It runs in its own session, where no terminal reaches it, and speaks three pipes: standard input is the leash (first line:
what to start, as JSON; then commands), standard output is the report (`pid N` or `error TEXT`, at the end `exit N`),
standard error is the child's log. When the leash closes - the parent ended, however - the child gets its stop signal, and
what runs after the grace is killed. Whatever the child leaves behind when it ends is killed too. Only this process ever
signals the child, so a process id that was given to somebody else meanwhile is never hit.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

LEASH, REPORT, LOG = 0, 1, 2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLEAN_UP_SECONDS = 3.0
LINUX = sys.platform == "linux"


def main() -> None:
    """Start the child that the leash describes, watch it to its end, and report how it ended."""
    wake = _wake_on_signals()
    leash = Leash()
    spec = json.loads(leash.first_line())
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        child = _start(spec)
    except (OSError, subprocess.SubprocessError, LookupError, ValueError) as error:
        _report(f"error {error}")
        return
    _report(f"pid {child.pid}")
    code = _watch(child.pid, leash, wake, spec)
    child.returncode = code
    _kill_leftovers(child.pid)
    _report(f"exit {code}")


class Leash:
    """The pipe from the parent: lines while it lives, closed when it does not."""

    def __init__(self) -> None:
        self.is_open = True
        self._buffer = b""

    def first_line(self) -> str:
        """Wait for the first line."""
        while b"\n" not in self._buffer and self.is_open:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def commands(self) -> list[list[str]]:
        """Read what has come; call when the pipe is readable."""
        self._fill()
        *lines, self._buffer = self._buffer.split(b"\n")
        return [line.decode().split() for line in lines]

    def _fill(self) -> None:
        data = os.read(LEASH, 65_536)
        self._buffer += data
        self.is_open = bool(data)


def _wake_on_signals() -> int:
    """Return a pipe that gets a byte when a child ends; take the terminal's signals and do nothing with them.

    A handler, not SIG_IGN: ignored signals stay ignored in the child.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return readable


def _start(spec: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """Start the child in a session of its own, with nothing of the guard's but the log, as the user that the spec names."""
    identity = {} if spec["user"] is None else {"user": spec["user"], "group": spec["group"], "extra_groups": []}
    return subprocess.Popen(  # noqa: S603 - running what the parent asks for is what a guard is for
        spec["argv"],
        cwd=spec["cwd"],
        stdin=subprocess.DEVNULL,
        stdout=LOG,
        stderr=LOG,
        start_new_session=True,
        preexec_fn=_die_with_the_guard if LINUX else None,  # noqa: PLW1509 - one thread; runs after the change of user
        **identity,
    )


def _die_with_the_guard() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _watch(pid: int, leash: Leash, wake: int, spec: dict[str, Any]) -> int:
    """Wait until the child ends; obey the leash until then. Returns the exit code (-N: ended by signal N)."""
    kill_at: float | None = None
    while (code := _reap(pid)) is None:
        sources = [LEASH, wake] if leash.is_open else [wake]
        timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        readable, _, _ = select.select(sources, [], [], timeout)
        if wake in readable:
            os.read(wake, 4096)
        if LEASH in readable:
            for command in leash.commands():
                _obey(pid, command)
            if not leash.is_open:
                _send(pid, spec["stop_signal"])
                kill_at = time.monotonic() + spec["orphan_grace_seconds"]
        if kill_at is not None and time.monotonic() >= kill_at:
            _kill_group(pid)
            kill_at = None
    return code


def _obey(pid: int, command: list[str]) -> None:
    match command:
        case ["signal", number]:
            _send(pid, int(number))
        case ["kill"]:
            _kill_group(pid)


def _reap(pid: int) -> int | None:
    """Collect ended processes, adopted ones too; return the child's exit code if it is among them."""
    code = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if ended == 0:
            return code
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):  # it has ended, or macOS says so of a zombie
        return


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # see _send
        return


def _kill_leftovers(pid: int) -> None:
    """End what the child left running: its process group, and on Linux every descendant, which this process has adopted."""
    _kill_group(pid)
    end = time.monotonic() + CLEAN_UP_SECONDS
    while LINUX and (adopted := _children()) and time.monotonic() < end:
        for number in adopted:
            _send(number, signal.SIGKILL)
        select.select([], [], [], 0.01)
        _reap(0)


def _children() -> list[int]:
    """List this process's children, which after the child's end are those adopted from it (Linux)."""
    me = str(os.getpid())
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib would double the time to start
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:  # noqa: PTH123 - see above
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if parent == me and state != "Z":
                found.append(int(name))
    return found


def _report(line: str) -> None:
    try:
        os.write(REPORT, line.encode() + b"\n")
    except BrokenPipeError:  # the parent has ended: nobody asks
        return


if __name__ == "__main__":
    main()
