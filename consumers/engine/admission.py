"""How many records a worker may hold, and how many calls may run. Pure; the arithmetic of its bounds.

*Slots* bound the calls that run; a slot is free when the answer is here, not when its row is written, so that no slot waits
for Kafka or Postgres. *Unsettled* bounds everything that was admitted, in records and in bytes, and with it the memory; what
answers take is bounded apart (answers.py). Between the two a few records are read *ahead*, so that a free slot is filled at
once.
"""

from consumers.engine.answers import Answers

AHEAD_LIMIT = 2_000
"""Records checked and ready before a slot is free: with one in series, each await of the poll loop costs a pass of a busy
event loop, which capped the prototype near 5,000 tokens/s (facts: engine)."""
PERSISTING_LIMIT = 4_000
"""Answers that may wait for their row: 8 statements of 500, about 40 ms of one database core."""
RECORD_BYTES_LIMIT = 134_217_728
"""Bytes of unsettled records, as they came: polling stops above it. Calls do not, or nothing would ever settle."""
POLL_LIMIT = 500
"""Records of one poll: 2,000 cost no less CPU and raised the loop's lag from 5 to 29 ms (facts: engine, section 7)."""


RETRY_POLL_LIMIT = 100
"""Retry records of one poll. `max_records` is a total, one partition may take it all (facts: engine, section 6)."""
GATED_AHEAD_LIMIT = 100
"""Read ahead while a gate is closed: enough to go on at once, few enough to leave the rest to others."""
DUE_AHEAD_LIMIT = 500
"""Due retries in check and ready: their calls start as slots of theirs come free, the others stay in the topic."""


class Admission:
    """Counts of what a worker holds. `unsettled` counts every admitted record until it is settled or forgotten.

    Retries have counts of their own, so that neither they nor fresh records take the room of the other.
    """

    __slots__ = (
        "ahead_limit", "answers", "calling", "due_calling", "due_waiting", "gated", "held", "poll_floor", "record_bytes",
        "record_bytes_limit", "slots", "unsettled", "unsettled_limit", "waiting",
    )  # fmt: skip

    def __init__(self, *, slots: int, answers: Answers | None = None) -> None:
        self.slots = slots
        self.answers = Answers() if answers is None else answers
        self.ahead_limit = max(1, min(AHEAD_LIMIT, slots // 2))
        self.unsettled_limit = slots + self.ahead_limit + PERSISTING_LIMIT
        self.record_bytes_limit = RECORD_BYTES_LIMIT
        self.poll_floor = max(1, min(POLL_LIMIT, self.ahead_limit // 2))
        self.calling = 0
        self.waiting = 0  # fresh ones, admitted and not yet called: in check or ready
        self.unsettled = 0
        self.held = 0  # retries that are not due yet
        self.due_waiting = 0  # due retries, in check or ready
        self.gated = False  # whether a gate is closed
        self.due_calling = 0  # of those that are calling
        self.record_bytes = 0

    def admit(self, size_bytes: int) -> None:
        """Count a record that was polled just now."""
        self.unsettled += 1
        self.record_bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Count a record out that is settled or given back."""
        self.unsettled -= 1
        self.record_bytes -= size_bytes

    def poll_budget(self) -> int:
        """Count the records that may be polled now; 0 = wait until something settles or is called.

        Never a few: a full worker frees its places one by one, and would pay a poll and a query for each record.
        """
        if self.record_bytes >= self.record_bytes_limit:
            return 0
        room = self.unsettled_limit - self.unsettled + self.held
        ahead_limit = min(self.ahead_limit, GATED_AHEAD_LIMIT) if self.gated else self.ahead_limit
        budget = min(POLL_LIMIT, ahead_limit - self.waiting, room)
        return budget if budget >= min(self.poll_floor, ahead_limit) else 0

    def retry_budget(self) -> int:
        """Count the retry records that may be polled now."""
        if self.record_bytes >= self.record_bytes_limit:
            return 0
        due_limit = GATED_AHEAD_LIMIT if self.gated else DUE_AHEAD_LIMIT
        room = min(due_limit - self.due_waiting, self.unsettled_limit - self.unsettled + self.held)
        return max(0, min(RETRY_POLL_LIMIT, room))

    def free_slots(self) -> int:
        """Count the calls that may start now; none while too many bytes wait to be stored."""
        return self.slots - self.calling if self.answers.may_call() else 0
