"""What the local Kafka and the local PostgreSQL have in common: prepare, start, wait until ready, stop."""

import abc
import os
import time
from pathlib import Path

from infra.local.artifacts import Progress
from infra.local.errors import LocalStackError
from infra.local.guard import GuardedProcess

POLL_SECONDS = 0.05


class LocalService(abc.ABC):
    """A server with its data in one folder. Every method blocks; `prepare` and `start` come in that order.

    A service may be prepared and started again over the same folder: the data stay, the port may be another.
    """

    name: str
    stop_signal: int
    ready_seconds: float
    """How long a start may take, recovery after kill -9 included."""
    stop_seconds = 20.0
    """How long a stop may take before the process is killed; the data survive that too."""

    def __init__(self, folder: Path, port: int, *, log_path: Path) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.log_path = log_path.absolute()
        self._process: GuardedProcess | None = None

    @property
    def process(self) -> GuardedProcess:
        """The running process.

        Raises:
            LocalStackError: it was never started.

        """
        if self._process is None:
            msg = f"{self.name} was not started."
            raise LocalStackError(msg)
        return self._process

    @abc.abstractmethod
    def prepare(self, progress: Progress) -> None:
        """Make everything that a start needs: programs, folder, format. Idempotent; half a preparation is made anew."""

    @abc.abstractmethod
    def start(self) -> GuardedProcess:
        """Start the server under a guard and return at once."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Say whether the process started last serves its port by now."""

    def wait_ready(self, timeout_seconds: float | None = None) -> None:
        """Block until the server serves, at most `ready_seconds` or the given time.

        Raises:
            LocalStackError: the process ended, or the time is over; the text carries its last log lines.

        """
        limit = self.ready_seconds if timeout_seconds is None else timeout_seconds
        end = time.monotonic() + limit
        while not self.is_ready():
            code = self.process.poll()
            if code is not None:
                raise LocalStackError(self._with_log(f"{self.name} ended with exit code {code} while starting."))
            if time.monotonic() > end:
                raise LocalStackError(self._with_log(f"{self.name} is not ready after {limit:g} s."))
            time.sleep(POLL_SECONDS)

    def stop(self) -> int:
        """Stop the server in good order, by force after `stop_seconds`; return its exit code. Safe to call twice."""
        self.process.signal(self.stop_signal)
        try:
            return self.process.wait(self.stop_seconds)
        except TimeoutError:
            self.process.kill()
            return self.process.wait(self.stop_seconds)

    def make_folder(self) -> None:
        """Make the service's folder.

        Raises:
            LocalStackError: it cannot be made, or belongs to another user.

        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{self.folder} cannot be made ({error.strerror}): run from a folder of your own."
            raise LocalStackError(msg) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            msg = f"{self.folder} belongs to another user: run as that user, or delete the state folder (its data are lost)."
            raise LocalStackError(msg)

    def _with_log(self, sentence: str) -> str:
        lines = "\n".join(f"    {line}" for line in self.process.last_lines(8))
        return f"{sentence} Its last lines, from {self.log_path}:\n{lines}"
