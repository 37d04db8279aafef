"""The local Kafka and PostgreSQL as parts of the stack."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from infra.local.errors import LocalStackError
from infra.local.guard import GuardedProcess
from infra.local.parts import Calls, Kind, PartError, Report
from infra.local.processes import POLL_SECONDS, end, epitaph, in_vain, put_down
from infra.local.service import LocalService

HURRIED_SECONDS: Final = 5.0
"""A second Ctrl-C still lets a server close its files: one that was killed needs 10-20 s more at the next start."""

Result = TypeVar("Result")


class Server:
    """A server whose folder is prepared first: programs, format. `address` is what to show."""

    needs: Sequence[str] = ()

    def __init__(self, service: LocalService, *, kind: Kind, address: str) -> None:
        self.name = service.name
        self.kind = kind
        self._service = service
        self._address = address
        self._process: GuardedProcess | None = None

    async def start(self, report: Report) -> str:
        """Prepare, start, wait until it serves; see Part."""
        report(self._address)
        progress = from_thread(report)
        try:
            await in_thread(lambda: self._service.prepare(progress))
            report(self._address)
            self._process = self._service.start()
        except LocalStackError as error:
            raise PartError(f"{self.name}: {error}") from error
        await self._until_ready(self._process)
        return self._address

    def is_running(self) -> bool:
        """Tell whether the process lives; see Part."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """See Part."""
        return epitaph(self.name, self._process)

    async def calls(self) -> Calls | None:
        """Nothing to finish."""
        return None

    async def stop(self, hurry: asyncio.Event) -> tuple[str, str]:
        """Stop it in good order, in a hurry too if that is quick; see Part."""
        return await end(
            self._process,
            hurry,
            deadline_seconds=self._service.stop_seconds,
            hurried_seconds=HURRIED_SECONDS,
            stop_signal=self._service.stop_signal,
        )

    async def _until_ready(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + self._service.ready_seconds
        while not await in_thread(self._service.is_ready):
            if process.poll() is not None:
                raise PartError(self.last_words())
            if time.monotonic() > deadline:
                await put_down(process)
                raise PartError(in_vain(self.name, process, self._service.ready_seconds))
            await asyncio.sleep(POLL_SECONDS)


def from_thread(report: Report) -> Report:
    """Make a report that any thread may use; one that comes after the loop has ended is dropped."""
    loop = asyncio.get_running_loop()

    def tell(text: str) -> None:
        with suppress(RuntimeError):  # the loop is closed: the user stopped the stack during a download
            loop.call_soon_threadsafe(report, text)

    return tell


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run blocking work in a thread that does not keep the process from ending (a download, when the user stops it)."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # see from_thread
            loop.call_soon_threadsafe(lambda: None if future.done() else act())

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            failure = error
            settle(lambda: future.set_exception(failure))
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=run, daemon=True, name="local stack").start()
    return await future
