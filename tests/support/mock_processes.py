"""The mock API as a real process on a free port, and what a test asks of it."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_SECONDS = 15
STOP_SECONDS = 5


class MockProcess:
    """A running `python -m mock_api`; `greeting` is the line it printed when it listened.

    Its control plane is asked on a port of its own, so that it answers while the mock plays being down.
    """

    def __init__(self, process: subprocess.Popen[str], greeting: str) -> None:
        self.process = process
        self.greeting = greeting
        self.port = int(greeting.partition("127.0.0.1:")[2].partition("/")[0])
        self.control_port = int(greeting.partition("control also on port ")[2])

    def ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """Send a request of the control plane; return its JSON."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.control_port}{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - our own URL, http
            content: dict[str, Any] = json.load(response)
            return content

    def stats(self, query: str = "") -> dict[str, Any]:
        """Return what was counted."""
        return self.ask("GET", f"/stats{query}")

    def behave(self, **profile: object) -> None:
        """Count from zero, be up, and behave as told: no latency and no faults unless given."""
        quick = {"latency_min_seconds": 0, "latency_max_seconds": 0, "error_ratio": 0, "seed": 1}
        self.ask("POST", "/reset?profile=true")
        self.ask("PUT", "/profile", json.dumps(quick | profile).encode())
        self.ask("POST", "/reset")

    def change(self, **profile: object) -> dict[str, Any]:
        """Change these fields of the profile; return the whole of it."""
        return self.ask("PUT", "/profile", json.dumps(profile).encode())

    def go_down(self, how: str = "refuse", *, seconds: float | None = None) -> None:
        """Cut every caller and answer no call: for some seconds, or until `come_up`."""
        self.ask("POST", f"/down?how={how}" + (f"&seconds={seconds}" if seconds is not None else ""))

    def come_up(self) -> None:
        """Answer again."""
        self.ask("POST", "/up")

    def end(self) -> str:
        """Send SIGTERM; return what it printed from then on. Fails where it does not end in time."""
        self.process.terminate()
        printed, _ = self.process.communicate(timeout=STOP_SECONDS)
        return printed


def spawn_mock_api(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the process in a folder without a .env, with no MOCK_API_ variable but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MOCK_API_", "BIND_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "mock_api"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT), "MOCK_API_PORT": "0", "MOCK_API_CONTROL_PORT": "0"} | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running_mock_api(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[MockProcess]:
    """Run the mock API until the block ends; it listens when the block begins."""
    process = spawn_mock_api(folder, environment or {})
    overdue = threading.Timer(START_SECONDS, process.kill)
    overdue.start()
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        overdue.cancel()
        assert greeting.startswith("mock API: http://"), process.communicate(timeout=STOP_SECONDS)[1] or "no greeting"
        yield MockProcess(process, greeting)
    finally:
        overdue.cancel()
        process.kill()
        process.communicate(timeout=STOP_SECONDS)
