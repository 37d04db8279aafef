"""Child processes that never outlive their parent, not even after kill -9 of it.

Each child runs under a guard of its own (guardian.py), in a session of its own: Ctrl-C reaches the parent alone, and the
order in which children stop is the parent's to decide. The parent holds the guard's leash, a pipe; the kernel closes it
when the parent ends.
"""

import json
import os
import pwd
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local.errors import LocalStackError

GUARDIAN = Path(__file__).with_name("guardian.py")
START_SECONDS = 20.0
"""The guard answers within 50 ms; the rest is for a machine under load."""
ORPHAN_GRACE_SECONDS = 3.0
"""What a child gets to end by itself after its parent was killed; all of it is gone within 5 s. Kafka needs 0.3-2 s."""
MAX_LOG_BYTES = 16_777_216
"""A log file larger than this when a child starts is set aside as `NAME.old`."""


class GuardedProcess:
    """One running child. Every method may be called from any thread, at any time, also after the child has ended."""

    def __init__(self, guard: "subprocess.Popen[bytes]", pid: int, log_path: Path, log_start: int) -> None:
        self.pid = pid
        """Process id of the child itself, not of its guard."""
        self.log_path = log_path
        self.log_start = log_start
        """Where this run's lines begin in the log file."""
        self._guard = guard
        self._returncode: int | None = None
        self._lock = threading.Lock()

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log_path: Path,
        cwd: Path | None = None,
        user: int | None = None,
        stop_signal: int = signal.SIGTERM,
        orphan_grace_seconds: float = ORPHAN_GRACE_SECONDS,
    ) -> "GuardedProcess":
        """Start `argv` with exactly `env`; its output is appended to `log_path`.

        `user` (a uid) is taken on after the change to `cwd`, which that user then need not be able to reach by itself;
        supplementary groups are dropped. `stop_signal` is what the child gets when its parent ends without stopping it.

        Raises:
            LocalStackError: the program cannot be started, with the reason.

        """
        log_start = _set_aside_if_large(log_path)
        spec = {
            "argv": [str(argument) for argument in argv],
            "cwd": None if cwd is None else str(cwd),
            "user": user,
            "group": None if user is None else group_of(user),
            "stop_signal": int(stop_signal),
            "orphan_grace_seconds": orphan_grace_seconds,
        }
        with log_path.open("ab") as log:
            guard = subprocess.Popen(  # noqa: S603 - this interpreter and a script of ours
                [sys.executable, "-I", "-S", str(GUARDIAN)],
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                bufsize=0,
            )
        try:
            pid = _handshake(guard, spec)
        except LocalStackError as error:
            msg = f"Cannot start {argv[0]}: {error}"
            raise LocalStackError(msg) from None
        return cls(guard, pid, log_path, log_start)

    def poll(self) -> int | None:
        """Return the child's exit code (-N: ended by signal N), or None while it runs. A code means that nothing is left."""
        with self._lock:
            if self._returncode is None and self._guard.poll() is not None:
                self._returncode = self._read_exit()
            return self._returncode

    def wait(self, timeout: float) -> int:
        """Block until the child has ended, at most `timeout` seconds; return its exit code.

        Raises:
            TimeoutError: it still runs.

        """
        try:
            self._guard.wait(timeout)
        except subprocess.TimeoutExpired:
            msg = f"process {self.pid} still runs after {timeout:g} s"
            raise TimeoutError(msg) from None
        code = self.poll()
        return self._guard.returncode if code is None else code

    def signal(self, number: int) -> None:
        """Send the child a signal; does nothing when it has ended."""
        self._command(f"signal {int(number)}\n")

    def kill(self) -> None:
        """Send SIGKILL to the child and its process group; does nothing when it has ended."""
        self._command("kill\n")

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines that this run wrote to its log."""
        with self.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_start, size - count * 1000))
            return log.read().decode(errors="replace").splitlines()[-count:]

    def _command(self, line: str) -> None:
        with self._lock:
            leash = self._guard.stdin
            if leash is not None and not leash.closed:
                try:
                    leash.write(line.encode())
                except BrokenPipeError:  # it has ended
                    return

    def _read_exit(self) -> int:
        """Read the guard's last word and let go of its pipes; without one the guard was killed, and its child with it."""
        report, leash = self._guard.stdout, self._guard.stdin
        words = report.read().split() if report is not None else []
        for pipe in (report, leash):
            if pipe is not None:
                pipe.close()
        return int(words[-1]) if words[-2:-1] == [b"exit"] else self._guard.returncode


def _handshake(guard: "subprocess.Popen[bytes]", spec: Mapping[str, object]) -> int:
    """Tell the guard what to start; return the child's process id, or raise LocalStackError with the reason."""
    leash, report = guard.stdin, guard.stdout
    if leash is None or report is None:  # cannot be: both were asked for
        raise AssertionError
    leash.write(json.dumps(spec).encode() + b"\n")
    with selectors.DefaultSelector() as selector:  # not select(): the parent may have more than 1,024 files open
        selector.register(report, selectors.EVENT_READ)
        words = report.readline().decode(errors="replace").split(maxsplit=1) if selector.select(START_SECONDS) else []
    match words:
        case ["pid", number]:
            return int(number)
        case ["error", text]:
            reason = text.strip()
        case _:
            reason = "its guard does not answer"
    guard.kill()
    guard.wait()
    leash.close()
    report.close()
    raise LocalStackError(reason)


def _set_aside_if_large(log_path: Path) -> int:
    """Return the size of the log, after moving a large one away."""
    size = log_path.stat().st_size if log_path.exists() else 0
    if size <= MAX_LOG_BYTES:
        return size
    log_path.replace(log_path.with_name(log_path.name + ".old"))
    return 0


def group_of(user: int) -> int:
    """Return a user's primary group; a user without an entry has the group of the same number."""
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user
