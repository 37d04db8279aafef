"""An owner for tasks that come and go: lanes and checks. Every task is awaited by somebody, and no exception gets lost."""

import asyncio
from collections.abc import Callable, Coroutine


class TaskSet:
    """Tasks of one kind. An exception in one of them is handed to `on_failure`; cancellation is not a failure."""

    def __init__(self, *, on_failure: Callable[[BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_failure = on_failure

    def __len__(self) -> int:
        """Count the tasks that run."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Start a task and own it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    async def finished(self, *, timeout_seconds: float) -> bool:
        """Wait until none is left, tasks started meanwhile included; False when the time is over first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while self._tasks:
            remaining = deadline - loop.time()
            if remaining <= 0:
                return False
            await asyncio.wait(self._tasks, timeout=remaining)
        return True

    def cancel_all(self) -> None:
        """Ask every task to end; does not wait. Idempotent."""
        for task in self._tasks:
            task.cancel()

    async def cancel(self, *, timeout_seconds: float) -> None:
        """Cancel every task and wait until each has ended. Idempotent.

        Raises:
            TimeoutError: a task goes on despite its cancellation.

        """
        self.cancel_all()
        if not await self.finished(timeout_seconds=timeout_seconds):
            msg = f"{len(self._tasks)} tasks ignore their cancellation"
            raise TimeoutError(msg)
