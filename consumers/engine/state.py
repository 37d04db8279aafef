"""What the parts of the engine share: windows, claims, admission, the ready queue.

One event loop, no lock: each change happens between two awaits. Who changes what: the pump admits, the check moves records
from waiting to ready or settles them, lanes take from ready and free slots, the sink settles, the handover opens and closes.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic

from aiokafka.structs import TopicPartition

from consumers.engine.admission import Admission
from consumers.engine.answers import Answers
from consumers.engine.broker_clock import BrokerClock
from consumers.engine.claims import Claims
from consumers.engine.hold import Hold
from consumers.engine.pause import Pause, uptime
from consumers.engine.ready import ReadyQueue
from consumers.engine.record import Record
from consumers.engine.slot_time import SlotTime
from consumers.engine.window import Windows


class EngineState:
    """The engine's books. `draining`: nothing may start, and what is not in a call is given back."""

    def __init__(
        self,
        *,
        slots: int,
        answers: Answers | None = None,
        pause_seconds: float = inf,
        clock: Callable[[], float] = monotonic,
        broker_clock: BrokerClock | None = None,
    ) -> None:
        self.clock = clock
        self.broker_clock = broker_clock or BrokerClock()
        self.uptime: Callable[[], float] = uptime
        self.pause = Pause(limit_seconds=pause_seconds, now=self.uptime())
        self.slot_time = SlotTime(slots=slots, now=clock())
        self.windows = Windows()
        self.claims = Claims()
        self.admission = Admission(slots=slots, answers=answers)
        self.ready = ReadyQueue(slots=slots)
        self.hold = Hold()
        self.held_more = asyncio.Event()  # set when the hold got a record: it may be due before the others
        self.draining = True  # until the first assignment
        self.resumed = False  # whether it is known where the group left off in the assigned partitions
        self.taken_over = asyncio.Event()  # set once they are marked: no call starts before
        self.calls_made = 0
        self.calls_confirmed = 0  # of those, the ones made before the last commit that was accepted
        self.progress = 0  # changes with every record admitted or settled
        self.room = asyncio.Event()

    def admit(self, record: Record) -> bool:
        """Take a polled record in; False (and nothing counted) where its window already had the offset."""
        if not record.window.admit(record.offset, now=self.clock()):
            return False
        self.admission.admit(record.size_bytes)
        self.progress += 1
        self._wait(record)
        return True

    def park(self, record: Record, partition: TopicPartition) -> None:
        """Hold an admitted retry record until it is due."""
        self._wait(record, -1)
        self.admission.held += 1
        self.hold.add(partition, record)
        self.held_more.set()

    def release(self, now_ms: float) -> list[Record]:
        """Take what is due out of the hold; hand it to the check."""
        due = self.hold.due(now_ms)
        self.admission.held -= len(due)
        for record in due:
            self._wait(record)
        if due:
            self.progress += 1
            self.room.set()
        return due

    def _wait(self, record: Record, change: int = 1) -> None:
        """Count a record into the ones that wait for a call, or out of them."""
        if record.due_ms:
            self.admission.due_waiting += change
        else:
            self.admission.waiting += change

    def hang(self, record: Record) -> None:
        """Note that a checked copy hangs on the claim of another record: unsettled, but neither in check nor ready."""
        self._wait(record, -1)
        self.room.set()

    def open_books(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin an assignment: fresh windows, whose positions are not known yet."""
        self.windows.open(partitions)
        self.resumed = False
        self.taken_over.clear()
        self.pause.end(self.uptime())
        self.draining = False
        self.room.set()

    def paused(self) -> bool:
        """Whether this process stood still and may have been replaced: no call may start."""
        return self.pause.noticed(self.uptime())

    def board(self, *, fresh_first: bool = False) -> Record:
        """Take the next ready record along with a call that runs already: it takes no slot."""
        record = self.ready.pop(due_calling=self.admission.slots if fresh_first else self.admission.due_calling)
        self._wait(record, -1)
        self.room.set()
        return record

    def begin_call(self, *, fresh_first: bool = False) -> tuple[Record, bool]:
        """Take the next ready record into a slot; True beside it if a worker that was killed may have called it before."""
        record = self.board(fresh_first=fresh_first)
        self.admission.calling += 1
        self.admission.due_calling += bool(record.due_ms)
        self.calls_made += 1
        self.slot_time.take(self.clock())
        return record, record.window.call(record.offset)

    def end_call(self, record: Record) -> None:
        """Free the slot: the answer is here, or the call was cancelled."""
        self.admission.calling -= 1
        self.admission.due_calling -= bool(record.due_ms)
        self.slot_time.free(self.clock())

    def requeue(self, record: Record) -> None:
        """Put a record whose call met a gate back behind the ready ones; it has spent nothing. Its slot is freed apart."""
        record.window.give_back(record.offset)
        self._wait(record)
        self.ready.append(record)

    def settle_uncalled(self, record: Record) -> list[Record]:
        """Settle a record in check because its outcome was stored before; as `settle`."""
        self._wait(record, -1)
        return self.settle(record)

    def put_aside(self, record: Record) -> None:
        """Note that a checked record has its outcome without a call."""
        self._wait(record, -1)

    def settle(self, record: Record) -> list[Record]:
        """Settle a record whose outcome is durable, and the copies that follow it.

        Returns the newer copies that waited for it: hand them to `readmit`.
        """
        released = self.claims.release(record)
        for done in (record, *released.followers):
            done.window.settle(done.offset)
            self.admission.leave(done.size_bytes)
        self.progress += 1
        self.room.set()
        return released.waiters

    def readmit(self, waiters: list[Record]) -> list[Record]:
        """Put copies that hung on a claim back in check; return those to be checked.

        In a drain, and where the partition was revoked meanwhile, they are given back: their next owner reads them again.
        """
        live: list[Record] = []
        for record in waiters:
            if self.draining or record.window.closed:
                self.admission.leave(record.size_bytes)
            else:
                live.append(record)
                self._wait(record)
        return live

    def forget(self, record: Record) -> None:
        """Give back a record in check or ready, and what hangs on it: the partition's next owner reads them again."""
        self._wait(record, -1)
        self.abandon(record)

    def abandon(self, record: Record) -> None:
        """Give back a record whose call was cut off or never sent, and what hangs on it. Its slot is freed apart."""
        released = self.claims.release(record)
        for one in (record, *released.followers, *released.waiters):
            self.admission.leave(one.size_bytes)

    def give_back_ready(self) -> None:
        """Give back every ready record, and what is held. Idempotent."""
        while self.ready:
            self.forget(self.ready.pop())
        for record in self.hold.clear():
            self.admission.leave(record.size_bytes)
        self.admission.held = 0

    def close_books(self) -> None:
        """End an assignment whose calls are done: close the windows, and see that nothing of it is left over.

        Raises:
            RuntimeError: the books do not balance, which is a bug; the process must not go on with them.

        """
        self.windows.close()
        self.resumed = False
        self.taken_over.clear()
        waiting = self.admission.waiting + self.admission.due_waiting
        if waiting or self.admission.calling:
            msg = f"after a drain {waiting} records wait and {self.admission.calling} are in a call"
            raise RuntimeError(msg)
