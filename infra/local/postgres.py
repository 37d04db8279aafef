"""A real PostgreSQL on this machine: the binaries of a wheel, run directly, with TCP on 127.0.0.1 and a password.

There is no Unix socket: its path would have to stay below 100 bytes, and a state folder may lie anywhere.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import psutil

from infra.local import artifacts, unprivileged
from infra.local.artifacts import Progress
from infra.local.errors import LocalStackError
from infra.local.guard import GuardedProcess, group_of
from infra.local.service import LocalService

HOST: Final = "127.0.0.1"
NAME: Final = "tokenflow"
"""Of the superuser and of the database."""
INITDB_SECONDS: Final = 120
CLEAN_ENVIRONMENT: Final = {"LC_ALL": "C"}
INITDB: Final = (
    f"--username={NAME}",
    "--auth=scram-sha-256",
    "--pwfile=/dev/stdin",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # needs no locale of the operating system
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
)
SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",  # two for each worker, a pool for the API, and room for people
    "logging_collector": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class LocalPostgres(LocalService):
    """The database of a stack. Its password is made once and kept beside the data, readable by the owner alone."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": running transactions are rolled back, then a checkpoint
    ready_seconds = 60.0

    def __init__(self, folder: Path, port: int, *, log_path: Path, settings: Mapping[str, str] | None = None) -> None:
        """Name the folder and port; `settings` adds server settings (name -> value) to those above."""
        super().__init__(folder, port, log_path=log_path)
        self._settings = SETTINGS | dict(settings or {}) | {"port": str(port)}
        self._home: Path | None = None

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def database_url(self) -> str:
        """What DATABASE_URL is set to, to use this database; after `prepare`."""
        return f"postgresql://{NAME}:{self._password_file.read_text()}@{HOST}:{self.port}/{NAME}"

    def prepare(self, progress: Progress) -> None:
        """Find programs that can run, make the password, and make the database once."""
        self.make_folder()
        user = unprivileged.user_for(self.data)
        self._home = unprivileged.runnable_home(artifacts.postgres_home(), user)
        if not self.data.exists():
            progress("making the database")
            self._make_password()
            self._make_data(user)

    def start(self) -> GuardedProcess:
        """Start the server and return at once."""
        user = unprivileged.user_for(self.data)
        self._remove_stale_lock()
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        self._process = GuardedProcess.start(
            [self._program("postgres"), "-D", unprivileged.data_argument(self.data, user), *settings],
            env=CLEAN_ENVIRONMENT,
            log_path=self.log_path,
            cwd=self.data,
            user=user,
            stop_signal=self.stop_signal,
        )
        return self._process

    def is_ready(self) -> bool:
        """Say whether the server accepts connections: lines 1 and 8 of its own lock file say so, as for `pg_ctl -w`."""
        lines = self._lock_lines()
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - see above

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _program(self, name: str) -> str:
        if self._home is None:
            msg = "PostgreSQL was not prepared."
            raise LocalStackError(msg)
        return str(self._home / "bin" / name)

    def _make_password(self) -> None:
        """Write the password, which no process but its owner's may read at any moment."""
        self._password_file.unlink(missing_ok=True)
        with os.fdopen(os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))

    def _make_data(self, user: int | None) -> None:
        """Make the cluster and the database beside, then rename: a `data` folder is always a whole one."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        name = unprivileged.data_argument(fresh, user)
        with tempfile.TemporaryFile(dir=self.folder) as password, tempfile.TemporaryFile(dir=self.folder) as script:
            password.write(self._password_file.read_bytes())
            script.write(f"CREATE DATABASE {NAME}\n".encode())
            for target in (password.fileno(), script.fileno(), fresh) if user is not None else ():
                os.chown(target, user or 0, group_of(user or 0))
            self._run([self._program("initdb"), "-D", name, *INITDB], fresh, user=user, stdin=password)
            self._run([self._program("postgres"), "--single", "-D", name, "postgres"], fresh, user=user, stdin=script)
        fresh.rename(self.data)

    def _run(self, argv: Sequence[str], cwd: Path, *, user: int | None, stdin: IO[bytes]) -> None:
        stdin.seek(0)
        done = subprocess.run(  # noqa: S603 - a program of this environment
            argv,
            cwd=cwd,
            user=user,
            group=None if user is None else group_of(user),
            extra_groups=None if user is None else [],
            env=CLEAN_ENVIRONMENT,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=INITDB_SECONDS,
        )
        if done.returncode != 0:
            msg = f"The database cannot be made; {Path(argv[0]).name} says:\n{done.stdout}"
            raise LocalStackError(msg)

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a server that was killed if its process id is another process's by now.

        1. The machine or container stops; the lock file keeps process id 57. 2. After the restart 57 is another stack's
        PostgreSQL, of the same user. 3. PostgreSQL sees a living process 57 and refuses to start, for ever.
        """
        lines = self._lock_lines()
        if not lines:
            return
        try:
            ours = psutil.Process(int(lines[0])).cwd() == str(self.data.resolve())
        except (psutil.NoSuchProcess, ValueError):
            ours = False
        except psutil.AccessDenied:  # macOS, another user's process: leave it to PostgreSQL
            return
        if ours:
            msg = f"A PostgreSQL runs in {self.data} already, as process {lines[0]}: stop it first."
            raise LocalStackError(msg)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _lock_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
