"""The parts that run our own command line: steps that come to an end, services that answer HTTP."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from infra.local.guard import GuardedProcess
from infra.local.parts import Calls, Kind, PartError, Report
from infra.local.probe import Endpoint, is_ok, read_json
from infra.local.processes import KILL_SECONDS, POLL_SECONDS, Command, end, ended, epitaph, in_vain, launch, put_down

WORKER_SLACK_SECONDS: Final = 15.0
"""What a worker may take beyond its drain limit: the last flush and commit, leaving the group."""


class Step:
    """A command that runs to its end: topics, migrations."""

    kind = Kind.STEP

    def __init__(self, name: str, *, needs: Sequence[str], command: Command, deadline_seconds: float) -> None:
        self.name = name
        self.needs = needs
        self._command = command
        self._deadline_seconds = deadline_seconds
        self._process: GuardedProcess | None = None

    async def start(self, report: Report) -> str:
        """Run the command; see Part."""
        report("")
        self._process = launch(self.name, self._command)
        if not await ended(self._process, self._deadline_seconds):
            await put_down(self._process)
            raise PartError(in_vain(self.name, self._process, self._deadline_seconds))
        if self._process.poll():
            raise PartError(self.last_words())
        return ""

    def is_running(self) -> bool:
        """Tell whether the command has not come to its end; see Part."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """See Part."""
        return epitaph(self.name, self._process)

    async def calls(self) -> Calls | None:
        """Nothing to finish."""
        return None

    async def stop(self, hurry: asyncio.Event) -> tuple[str, str]:
        """Interrupt the command; see Part."""
        return await end(self._process, hurry, deadline_seconds=KILL_SECONDS)


class Service:
    """A process of ours that answers HTTP: API, worker, mock API."""

    def __init__(
        self,
        name: str,
        *,
        kind: Kind,
        needs: Sequence[str],
        command: Command,
        endpoint: Endpoint,
        ready_path: str,
        start_seconds: float,
        stop_seconds: float,
    ) -> None:
        self.name = name
        self.kind = kind
        self.needs = needs
        self.endpoint = endpoint
        self._command = command
        self._ready_path = ready_path
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._process: GuardedProcess | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the process that runs, or ran last."""
        return None if self._process is None else self._process.pid

    async def start(self, report: Report) -> str:
        """Start the process and wait until it says that it is ready; see Part."""
        report(self.endpoint.url)
        self._process = launch(self.name, self._command)
        deadline = time.monotonic() + self._start_seconds
        while not await is_ok(self.endpoint, self._ready_path):
            if self._process.poll() is not None:
                raise PartError(self.last_words())
            if time.monotonic() > deadline:
                await put_down(self._process)
                raise PartError(in_vain(self.name, self._process, self._start_seconds))
            await asyncio.sleep(POLL_SECONDS)
        return self.endpoint.url

    def is_running(self) -> bool:
        """Tell whether the process lives; see Part."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """See Part."""
        return epitaph(self.name, self._process)

    async def calls(self) -> Calls | None:
        """Ask a worker's /status; see Part."""
        if self.kind is not Kind.WORKER or not self.is_running():
            return None
        return await ask_calls(self.endpoint)

    async def stop(self, hurry: asyncio.Event) -> tuple[str, str]:
        """Ask it to end, and wait for as long as its work may take; see Part."""
        calls = await self.calls()
        deadline = self._stop_seconds if calls is None else calls.drain_limit_seconds + WORKER_SLACK_SECONDS
        return await end(self._process, hurry, deadline_seconds=deadline)


async def ask_calls(endpoint: Endpoint) -> Calls | None:
    """Ask a worker's /status what it has to finish; None when it does not say."""
    match await read_json(endpoint, "/status"):
        case {"calling": int(calling), "drain_limit_seconds": int() | float() as limit}:
            return Calls(calling, float(limit))
        case _:
            return None
