"""The local PostgreSQL: data, users, folders that only their owner enters."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from infra.local import artifacts, unprivileged
from infra.local.errors import LocalStackError
from infra.local.postgres import LocalPostgres
from tests.support.services import execute, make_postgres, running, started

NOBODY = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def private_folder(tmp_path: Path) -> Path:
    """A folder with spaces and a long path, below one that nobody but its owner enters, as a home folder is."""
    home = tmp_path / "home"
    folder = home / "my projects" / ("x" * 120)
    folder.mkdir(parents=True)
    home.chmod(0o700)
    return folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def modes(folder: Path) -> dict[Path, tuple[int, int]]:
    """Note who may do what with a folder and with every folder above it."""
    found = {path: path.stat() for path in (folder, *folder.parents)}
    return {path: (stat.S_IMODE(each.st_mode), each.st_uid) for path, each in found.items()}


async def count(url: str, table: str) -> int:
    """Count the rows of a table."""
    connection = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of the test
        return found
    finally:
        await connection.close()


async def test_rows_survive_a_restart_on_another_port_and_kill_9(private_folder: Path) -> None:
    """Situation: a database below a private folder. Fault: a stop, another port, then SIGKILL. Must hold: every row."""
    with running(lambda: make_postgres(private_folder)) as server:
        await execute(server.database_url, "CREATE TABLE kept (x int)")
        await execute(server.database_url, "INSERT INTO kept VALUES (1)")
    assert server.process.poll() == 0

    server = started(lambda: make_postgres(private_folder))
    await execute(server.database_url, "INSERT INTO kept VALUES (2)")
    server.process.kill()
    assert server.process.wait(10) == -signal.SIGKILL

    with running(lambda: make_postgres(private_folder)) as server:
        assert await count(server.database_url, "kept") == 2


async def test_no_permission_of_a_folder_above_changes_and_no_server_runs_as_root(private_folder: Path) -> None:
    """PostgreSQL refuses root: then it is another user, who reaches its data without being let into anything."""
    before = modes(private_folder)
    with running(lambda: make_postgres(private_folder)) as server:
        process = psutil.Process(server.process.pid)
        users = {each.uids().effective for each in [process, *process.children()]}
        assert modes(private_folder) == before
    owner = (private_folder / "postgres" / "data").stat()
    assert users == {owner.st_uid}
    assert 0 not in users
    assert stat.S_IMODE(owner.st_mode) == 0o700
    password = (private_folder / "postgres" / "password").stat()
    assert (stat.S_IMODE(password.st_mode), password.st_uid) == (0o600, os.geteuid())


async def test_the_password_is_asked_for_and_the_network_is_not_listened_to(tmp_path: Path) -> None:
    """No connection without the password; no port but one of 127.0.0.1; no socket file."""
    with running(lambda: make_postgres(tmp_path)) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await execute_as("wrong", server)
        process = psutil.Process(server.process.pid)
        listening = [each.laddr for each in process.net_connections("all") if each.status == psutil.CONN_LISTEN]
        assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", server.port)]


async def execute_as(password: str, server: LocalPostgres) -> None:
    """Connect with another password."""
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user="tokenflow", password=password, database="tokenflow"
    )
    await connection.close()


async def test_the_database_is_utf8_with_checksums_and_no_locale_of_this_machine(database_url: str) -> None:
    """Sorting is the same on every machine, and a bad disk block is noticed."""
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow(
            "SELECT pg_encoding_to_char(encoding) AS encoding, datlocprovider::text AS provider, datlocale AS locale, "
            "current_setting('data_checksums') AS checksums, current_setting('fsync') AS fsync "
            "FROM pg_database WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    assert tuple(row or ()) == ("UTF8", "b", "C.UTF-8", "on", "on")


def test_a_half_made_data_folder_is_made_anew(tmp_path: Path) -> None:
    """An initdb that was killed leaves `data.new`; nobody takes it for data."""
    (tmp_path / "postgres" / "data.new").mkdir(parents=True)
    (tmp_path / "postgres" / "data.new" / "rubbish").write_text("")
    with running(lambda: make_postgres(tmp_path)) as server:
        assert not (server.folder / "data.new").exists()


def test_a_lock_file_whose_process_is_another_by_now_does_not_stop_a_start(tmp_path: Path) -> None:
    """Situation: killed with its machine; process ids began anew, and another process of its user has its id."""
    with running(lambda: make_postgres(tmp_path)) as server:
        lock = (server.data / "postmaster.pid").read_text().splitlines()
    owner = server.data.stat()
    other = subprocess.Popen(["/bin/sleep", "600"], cwd="/", user=owner.st_uid, group=owner.st_gid)
    try:
        (server.data / "postmaster.pid").write_text("\n".join([str(other.pid), *lock[1:]]))
        os.chown(server.data / "postmaster.pid", owner.st_uid, owner.st_gid)
        with running(lambda: make_postgres(tmp_path)) as again:
            assert again.is_ready()
    finally:
        other.kill()
        other.wait(10)


def test_a_second_server_over_the_same_data_is_refused(tmp_path: Path) -> None:
    """With the process that has them."""
    with running(lambda: make_postgres(tmp_path)) as server:
        second = make_postgres(tmp_path)
        second.prepare(lambda _: None)
        with pytest.raises(LocalStackError, match=f"runs in .* already, as process {server.process.pid}"):
            second.start()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A setting that PostgreSQL does not know: its own words are in the error."""
    server = LocalPostgres(tmp_path / "postgres", 1, log_path=tmp_path / "log", settings={"no_such_setting": "1"})
    server.prepare(lambda _: None)
    server.start()
    with pytest.raises(LocalStackError, match=r'PostgreSQL ended with exit code 1(?s:.)*"no_such_setting"'):
        server.wait_ready()


if os.geteuid() == 0:  # nobody else becomes another user; whoever runs the suite as a plain user tests that case throughout

    def test_programs_that_the_other_user_cannot_reach_are_copied_for_it_once(tmp_path: Path, open_folder: Path) -> None:
        """An environment below a private home folder: the server runs from root's copy, with the libraries beside it."""
        home = artifacts.postgres_home()
        site = tmp_path / "home" / "site packages"
        for name in (home.parent.name, f"{home.parent.name}.libs"):
            shutil.copytree(home.parents[1] / name, site / name, symlinks=True)
        (tmp_path / "home").chmod(0o700)
        private_home = site / home.parent.name / home.name

        runnable = unprivileged.runnable_home(private_home, NOBODY, copies=open_folder / "copies")
        assert runnable.is_relative_to(open_folder)
        assert runnable.stat().st_uid == 0
        made = runnable.stat().st_ino
        assert unprivileged.runnable_home(private_home, NOBODY, copies=open_folder / "copies").stat().st_ino == made
