"""How many bytes of answers a worker holds: of those that are being read, and of those that wait to be stored.

Counts of records do not bound memory: 5,000 calls may each bring an answer of 1 MiB, and with the database away none of them
leaves. So no call starts while STOP_BYTES wait to be stored, and an answer that is more than small is read on only while
all of them together are below LIMIT_BYTES; else it waits, its bytes stay with the provider, and its call's time goes on.
At most then: LIMIT_BYTES, a small part of each running call, and one answer more (see `_must_go_on`).
One event loop, no lock: the sink keeps and lets go, providers read.
"""

import asyncio
import heapq
from itertools import count
from typing import Final

SMALL_BYTES: Final = 16_384
"""Read without asking: 5,000 such parts are 80 MiB, and most answers are below it."""
STOP_BYTES: Final = 134_217_728
LIMIT_BYTES: Final = 268_435_456
"""A worker with 5,000 calls takes some 170 MB beside that, and a statement of 8 MiB of answers some 32 MB (measured)."""


class Reading:
    """One answer that is being read; `held_bytes` is what it may take by now. Older ones have smaller numbers."""

    __slots__ = ("held_bytes", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.held_bytes = 0


class Answers:
    """The bytes of one worker's answers."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES, stop_bytes: int = STOP_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.stop_bytes = stop_bytes
        self.unsaved_bytes = 0
        self.reading_bytes = 0
        self._readings = 0
        self._waiting: list[tuple[int, Reading, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def may_call(self) -> bool:
        """Say whether another call may start."""
        return self.unsaved_bytes < self.stop_bytes

    def keep(self, size_bytes: int) -> None:
        """Note an answer that waits to be stored."""
        self.unsaved_bytes += size_bytes

    def let_go(self, size_bytes: int) -> None:
        """Note that an answer is stored."""
        self.unsaved_bytes -= size_bytes
        self._wake()

    def begin(self) -> Reading:
        """Begin to read an answer that is more than small; `end` it, whatever happens."""
        self._readings += 1
        return Reading(next(self._numbers))

    async def grow(self, reading: Reading, size_bytes: int) -> None:
        """Return when an answer may have so many bytes. Cancel it at the call's deadline."""
        more = size_bytes - reading.held_bytes
        if more <= 0:
            return
        if not self._waiting and self._fits(more):
            self._grant(reading, more)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (reading.number, reading, more, turn)
        heapq.heappush(self._waiting, place)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
                heapq.heapify(self._waiting)
            raise

    def end(self, reading: Reading) -> None:
        """End the reading of an answer: it is handed on, or given up."""
        self._readings -= 1
        self.reading_bytes -= reading.held_bytes
        reading.held_bytes = 0
        self._wake()

    def _fits(self, more: int) -> bool:
        return self.unsaved_bytes + self.reading_bytes + more <= self.limit_bytes

    def _must_go_on(self) -> bool:
        """Say whether the oldest must be read on although there is no room, since nobody else would ever make some.

        1. Answers that have begun take all the room. 2. Each of them waits for more. 3. None ends, so none makes room. The
        oldest goes on until its end; it is always the same one, so that this costs the memory of one answer.
        """
        return len(self._waiting) == self._readings and self.may_call()

    def _grant(self, reading: Reading, more: int) -> None:
        reading.held_bytes += more
        self.reading_bytes += more

    def _wake(self) -> None:
        """Let those go on for whom there is room, the oldest first."""
        while self._waiting:
            _, reading, more, turn = self._waiting[0]
            if not self._fits(more) and not self._must_go_on():
                return
            heapq.heappop(self._waiting)
            if not turn.done():  # else its call was cancelled a moment ago, and is about to leave
                self._grant(reading, more)
                turn.set_result(None)
