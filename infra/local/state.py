"""The state folder of a local stack: where each part keeps its data, and who may use it now.

    .tokenflow/
        kafka/           the broker's data and its server.properties
        postgres/        the database's data, and password (mode 0600)
        logs/            a log file per part
        lock             held (flock) by the `up` that runs the stack; free again the moment it ends, kill -9 included
        addresses.json   written by `up` once it runs, mode 0600: addresses and process ids, for `env`, `kafka` and `down`

Everything here may be deleted while nothing runs: the next `up` makes it again, without the old data.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.local.errors import LocalStackError

FOLDER_NAME = ".tokenflow"
ASKING_SECONDS = 0.3
"""Whoever asks whether a stack runs takes the lock for an instant; that must not look like a running stack to `up`."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running stack is reached. `pids` maps a part's name ("up", "kafka", ...) to its process id."""

    kafka_bootstrap_servers: str
    database_url: str
    pids: Mapping[str, int] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    """Name of an HTTP part ("api", "mock-api", "worker-1") -> its base URL."""


class StateFolder:
    """The layout above, below one root; makes no folder until asked to."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def here(cls) -> "StateFolder":
        """Name the state folder of the current folder."""
        return cls(Path.cwd() / FOLDER_NAME)

    @property
    def logs(self) -> Path:
        """Folder of the log files, one a part: `kafka.log`, `postgres.log`, ..."""
        return self.root / "logs"

    @property
    def kafka(self) -> Path:
        """Folder of the broker."""
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        """Folder of the database."""
        return self.root / "postgres"

    @property
    def lock(self) -> Path:
        """File whose flock says that a stack runs from this folder."""
        return self.root / "lock"

    @property
    def addresses(self) -> Path:
        """File with the addresses of the running stack."""
        return self.root / "addresses.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the folder and be its only user until the block ends; the addresses are gone at both ends.

        Raises:
            LocalStackError: another process uses the folder, or it cannot be written.

        """
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            lock = self.lock.open("a")
        except OSError as error:
            msg = f"The state folder {self.root} cannot be written ({error.strerror}): make it yours, or use another folder."
            raise LocalStackError(msg) from error
        with lock:
            if not _lock(lock.fileno(), patience_seconds=ASKING_SECONDS):
                msg = f"A stack already runs from {self.root}: stop it first (`tokenflow down`), or use another folder."
                raise LocalStackError(msg)
            self.addresses.unlink(missing_ok=True)
            try:
                yield
            finally:
                self.addresses.unlink(missing_ok=True)

    def is_held(self) -> bool:
        """Say whether a process holds this folder now."""
        try:
            with self.lock.open("rb") as lock:
                return not _lock(lock.fileno(), patience_seconds=0)
        except OSError:
            return False

    def write_addresses(self, addresses: Addresses) -> None:
        """Publish the addresses in one step; only the holder calls this."""
        fresh = self.addresses.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(addresses), file, indent=2)
        fresh.replace(self.addresses)

    def read_addresses(self) -> Addresses | None:
        """Return the addresses of the stack that runs from here now, or None: kill -9 leaves the file, but not the lock."""
        if not self.is_held():
            return None
        try:
            return Addresses(**json.loads(self.addresses.read_text()))
        except (OSError, ValueError, TypeError):
            return None


def _lock(descriptor: int, *, patience_seconds: float) -> bool:
    """Take the lock unless somebody has it for longer than that."""
    end = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        else:
            return True
