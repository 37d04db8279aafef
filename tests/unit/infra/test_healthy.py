"""The health check of the containers, as a process and against a server that answers this or that."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from infra.docker.healthy import what_is_wrong
from tests.support.processes import ROOT
from tests.support.services import free_ports


class Answers(http.server.BaseHTTPRequestHandler):
    """`/200` answers 200, and so on; the body says why."""

    def do_GET(self) -> None:
        """Answer with the status that the path names."""
        self.send_response(int(self.path[1:]))
        self.end_headers()
        self.wfile.write(b'{"reason": "joining the group"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Address of such a server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _check(url: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "infra.docker.healthy", url],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_200_is_healthy(url: str) -> None:
    """Nothing is said, and no proxy is asked."""
    done = _check(f"{url}/200", http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_anything_else_is_not_and_says_why(url: str) -> None:
    """What `docker inspect` shows of the last checks is the reason that the process gave."""
    done = _check(f"{url}/503")
    assert done.returncode == 1
    assert "answers 503" in done.stderr
    assert "joining the group" in done.stderr
    assert what_is_wrong(f"{url}/307") is not None


def test_nobody_there_is_said() -> None:
    """A port that nothing listens on."""
    (port,) = free_ports(1)
    assert "does not answer" in (what_is_wrong(f"http://127.0.0.1:{port}/") or "")


def test_a_process_that_hangs_is_found() -> None:
    """It accepts and never answers: the check ends by itself, in time to tell."""
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:  # listens, and nobody serves
        reason = what_is_wrong(f"http://127.0.0.1:{server.server_port}/200", timeout_seconds=0.1)
    assert "does not answer" in (reason or "")


def test_it_imports_little() -> None:
    """It runs every ten seconds in each container: nothing of a server may come with it."""
    code = "import sys, infra.docker.healthy; print([m for m in ('aiohttp', 'pydantic', 'asyncio') if m in sys.modules])"
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "[]\n"
