"""Starts the parts of the stack, keeps them running, and stops them in order.

One task a part ("keeper") waits for what the part needs, starts it, watches it and starts it again; it alone changes that
part's readiness and crash count. The supervisor's own task waits for the first of: everything ready, a request to stop, a
keeper that gave up. Stopping is one path for all of them: the keepers end first, so nothing is started again meanwhile,
then the parts are stopped group by group (API, workers, mock API, Kafka, PostgreSQL).
"""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from infra.local.errors import LocalStackError
from infra.local.parts import Kind, Part, PartError
from infra.local.restarts import GiveUp, Restarts, StartAgain
from infra.local.screen import Screen
from infra.local.stopping import StopRequest, farewell

POLL_SECONDS: Final = 0.1


class StackError(LocalStackError):
    """The stack ends because a part did not start or crashed too often; the text has its last log lines."""


class Supervisor:
    """The stack of one folder, from the first start to the last stop; used once."""

    def __init__(self, parts: Sequence[Part], *, screen: Screen, when_ready: Callable[[], None]) -> None:
        self._parts = parts
        self._screen = screen
        self._when_ready = when_ready
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._restarts = {part.name: Restarts() for part in parts}
        self._request = StopRequest()

    async def run(self) -> bool:
        """Run the stack until a signal asks to stop; returns when nothing of it runs any more.

        True: it was asked to stop. False: a part gave up, which was said, and the others were stopped all the same.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._request.insist)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._request.ask)
        self._screen.open()
        keepers = [asyncio.create_task(self._keep(part), name=part.name) for part in self._parts]
        try:
            await self._until_asked(keepers)
        except StackError as error:
            self._screen.say(str(error))
            return False
        else:
            return True
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._stop()
            self._screen.close()

    async def _until_asked(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        """Return at the first request to stop; a keeper that gave up raises here. Says once that everything is ready."""
        asked = asyncio.create_task(self._request.asked.wait())
        ready = asyncio.create_task(self._all_ready())
        waiting: set[asyncio.Task[object]] = {asked, ready, *keepers}
        try:
            while asked in waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
                if ready in done and not self._request.asked.is_set():
                    self._screen.close()
                    self._when_ready()
        finally:
            for task in (asked, ready):
                task.cancel()
            await asyncio.gather(asked, ready, return_exceptions=True)

    async def _all_ready(self) -> None:
        for event in self._ready.values():
            await event.wait()

    async def _keep(self, part: Part) -> None:
        """Start a part once what it needs is ready, and again whenever it ends by itself."""
        started_before = False
        while True:
            await self._needs_ready(part)
            try:
                await self._start(part)
            except PartError as error:
                if not started_before:
                    raise StackError(str(error)) from error
                reason = str(error)
            else:
                if part.kind is Kind.STEP:
                    return
                started_before = True
                reason = await self._ended(part)
            await self._pause(part, reason)

    async def _needs_ready(self, part: Part) -> None:
        for need in part.needs:
            await self._ready[need].wait()

    async def _start(self, part: Part) -> None:
        self._screen.show(part.name, "starting")
        try:
            detail = await part.start(lambda text: self._screen.show(part.name, "starting", text))
        except PartError:
            self._screen.show(part.name, "failed")
            raise
        except asyncio.CancelledError:  # the stack stops; what runs by now is stopped in its turn
            if not part.is_running():
                self._screen.show(part.name, "stopped")
            raise
        self._screen.show(part.name, "done" if part.kind is Kind.STEP else "ready", detail)
        self._ready[part.name].set()

    async def _ended(self, part: Part) -> str:
        """Wait until a part ends by itself; how it ended, with its last log lines."""
        while part.is_running():  # noqa: ASYNC110 - a process id has no event
            await asyncio.sleep(POLL_SECONDS)
        self._ready[part.name].clear()
        self._screen.show(part.name, "ended")
        return part.last_words()

    async def _pause(self, part: Part, reason: str) -> None:
        """Say how a part ended, and wait as long as its crashes ask for.

        What a part needs may be what brought it down: a crash while that is away is no fault of the part, so it is not
        counted, and the part starts when the other is back.
        """
        if not all(self._ready[need].is_set() for need in part.needs):
            self._screen.say(f"{reason}\n{part.name} starts again when {' and '.join(part.needs)} are back.")
            return
        match self._restarts[part.name].crashed(time.monotonic()):
            case StartAgain(delay_seconds):
                self._screen.say(f"{reason}\n{part.name} starts again in {delay_seconds:g} s.")
                await asyncio.sleep(delay_seconds)
            case GiveUp(crashes, window_seconds):
                self._screen.show(part.name, "failed")
                raise StackError(f"{reason}\n{part.name} ended {crashes} times in {window_seconds:.0f} s: the stack ends.")

    async def _stop(self) -> None:
        """Stop what runs, group by group; a second request makes each kill instead of wait."""
        running = sorted((part for part in self._parts if part.is_running()), key=lambda part: part.kind)
        if not running:
            return
        answers = await asyncio.gather(*(part.calls() for part in running))
        hint = "; Ctrl-C again stops now and repeats them"
        self._screen.say(farewell([calls for calls in answers if calls is not None], hint=hint))
        self._screen.open()
        for _, group in groupby(running, key=lambda part: part.kind):
            async with asyncio.TaskGroup() as stops:
                for part in group:
                    stops.create_task(self._stop_part(part))

    async def _stop_part(self, part: Part) -> None:
        self._screen.show(part.name, "stopping")
        stop = asyncio.create_task(part.stop(self._request.hurry))
        while not stop.done():
            await asyncio.wait([stop], timeout=1)
            if not stop.done() and (calls := await part.calls()):
                self._screen.show(part.name, "stopping", f"{calls.calling:,} calls to finish")
        self._screen.show(part.name, *await stop)
