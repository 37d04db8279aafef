"""The installation of jars, from a repository of the test's own that jgo's settings name as a mirror."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.local.artifacts import install_jars
from infra.local.errors import LocalStackError

JARS = {f"part{number}": f"content of part {number}".encode() for number in range(20)}


class Repository(ThreadingHTTPServer):
    """Serves each jar at its Maven path; `asked` lists the jars it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Answers with the jar, 404 to checksums."""

    server: Repository

    def do_GET(self) -> None:
        """Serve one file."""
        name = self.path.rpartition("/")[2].removesuffix("-1.0.jar")
        body = JARS.get(name)
        if body is not None:
            self.server.asked.append(name)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A repository that jgo's own settings name, and an empty cache folder."""
    with Repository() as server:
        threading.Thread(target=server.serve_forever, name="repository").start()
        settings = tmp_path / "jgo.conf"
        settings.write_text(f"[repositories]\ntest = http://127.0.0.1:{server.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock that names every jar of the repository."""
    path = tmp_path / "jars.lock"
    path.write_text("".join(f"org.example:{name}:1.0 {hashlib.sha256(body).hexdigest()}\n" for name, body in JARS.items()))
    return path


def install(lock: Path, fallback: Path) -> Path:
    """Install, without a word."""
    return install_jars(fallback=fallback, progress=lambda _: None, lock=lock)


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder, hidden ones too."""
    return {path.name.removesuffix("-1.0.jar"): path.read_bytes() for path in folder.iterdir()}


def test_missing_jars_are_downloaded_and_nothing_else_is_left(repository: Repository, lock: Path, tmp_path: Path) -> None:
    """A second time nobody is asked; one that was deleted comes again, alone."""
    folder = install(lock, tmp_path / "fallback")
    assert folder.is_relative_to(tmp_path / "cache")
    assert contents(folder) == JARS
    repository.asked.clear()
    assert install(lock, tmp_path / "fallback") == folder
    assert repository.asked == []
    (folder / "part7-1.0.jar").unlink()
    install(lock, tmp_path / "fallback")
    assert repository.asked == ["part7"]


def test_parallel_installs_meet_without_harm(repository: Repository, lock: Path, tmp_path: Path) -> None:
    """Two clones that start for the first time at once."""
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: install(lock, tmp_path / "fallback"), range(4)))
    assert len(set(folders)) == 1
    assert contents(folders[0]) == JARS


def test_a_jar_that_is_not_the_locked_one_is_refused(repository: Repository, lock: Path, tmp_path: Path) -> None:
    """It never reaches the folder."""
    lock.write_text(f"org.example:part1:1.0 {'0' * 64}\n")
    with pytest.raises(LocalStackError, match=r"part1-1\.0\.jar has sha256"):
        install(lock, tmp_path / "fallback")
    assert list((tmp_path / "cache").rglob("*.jar")) == []


def test_a_user_without_a_cache_folder_gets_the_fallback(
    repository: Repository, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that cannot be made: a file stands in its place."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    folder = install(lock, tmp_path / "fallback")
    assert folder.is_relative_to(tmp_path / "fallback")
    assert contents(folder) == JARS


def test_a_repository_that_does_not_answer_is_one_sentence(repository: Repository, lock: Path, tmp_path: Path) -> None:
    """It names the file and what to look at."""
    repository.shutdown()
    repository.server_close()
    with pytest.raises(LocalStackError, match=r"part\d+-1\.0\.jar cannot be downloaded .*check the network"):
        install(lock, tmp_path / "fallback")
