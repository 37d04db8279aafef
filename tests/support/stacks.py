"""A whole stack as a user runs it: `tokenflow up` as a process, in a folder of its own, on free ports."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.support.services import free_ports, run_apart
from tests.support.waiting import eventually

TOKENFLOW = (sys.executable, "-P", "-m", "infra.cli")
START_SECONDS = 100
STOP_SECONDS = 60
ANSWER_SECONDS = 20
PORTS = ("API_PORT", "MOCK_API_PORT", "KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "POSTGRES_PORT")


def settings_of_a_stack() -> dict[str, str]:
    """Choose free ports, and a mock API that answers within a second."""
    *ports, worker = free_ports(len(PORTS) + 1)
    return {
        **{name: str(port) for name, port in zip(PORTS, ports, strict=True)},
        "WORKER_PORT": str(worker - 1),  # the only worker listens on WORKER_PORT + 1
        "MOCK_API_LATENCY_MIN_SECONDS": "0.5",
        "MOCK_API_LATENCY_MAX_SECONDS": "1",
        "WORKER_CONCURRENCY": "5",  # 500 calls: a hard limit of 1,024 open files is enough for the tests
    }


class UserStack:
    """One folder in which stacks run, one after the other; what they print is kept in `screen`."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.settings = settings
        self.api_url = f"http://127.0.0.1:{settings['API_PORT']}"
        self.process: subprocess.Popen[bytes] | None = None
        self._screen = folder / "screen.txt"

    @property
    def screen(self) -> str:
        """Everything that the present stack has printed."""
        return self._screen.read_text()

    def run(self, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run a `tokenflow` command to its end in the folder; `changes` are settings for it alone."""
        return subprocess.run(  # noqa: S603 - our own command line
            [*TOKENFLOW, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.settings, **changes},
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )

    def up(self) -> None:
        """Start a stack in the foreground of nobody; returns when it says that it is ready."""
        with self._screen.open("wb") as screen:
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                [*TOKENFLOW, "up"],
                cwd=self.folder,
                env={**os.environ, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
                start_new_session=True,
            )
        run_apart(lambda: eventually(self._is_ready, timeout_seconds=START_SECONDS))

    def processes(self) -> list[psutil.Process]:
        """List every process of the running stack: the parent, the guards, the parts and what these started."""
        parent = psutil.Process(self.parent_pid)
        return [parent, *parent.children(recursive=True)]

    @property
    def parent_pid(self) -> int:
        """Process id of the running stack's parent."""
        pid: int = json.loads((self.folder / ".tokenflow" / "parent.json").read_text())["pid"]
        return pid

    def end(self) -> None:
        """Leave nothing behind, whatever a test has done."""
        self.run("down")
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def submit(self, token: str) -> None:
        """POST one token; returns when it is acknowledged."""
        body = json.dumps({"token": token}).encode()
        status, answer = ask(f"{self.api_url}/tokens", body)
        assert status == 202, answer

    def outcome(self, token: str) -> str:
        """Wait for a token's outcome, and return it."""
        status, answer = ask(f"{self.api_url}/tokens/{token}?wait_seconds=15")
        assert status == 200, answer
        return str(answer["outcome"])

    def _is_ready(self) -> None:
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            raise RuntimeError(f"tokenflow up ended with {code}:\n{self.screen}")
        assert "\nready in " in self.screen, self.screen


def ask(url: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    """GET, or POST a JSON body; status and JSON answer."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310 - our own URL, http
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:  # noqa: S310 - see above
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
