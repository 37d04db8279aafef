"""Whether a record is still to be called, given its stored row. Pure.

This is what makes restarts, rewinds and duplicate submissions free: what is stored is skipped before the call.
"""

from dataclasses import dataclass
from enum import Enum, auto

from asyncpg.pgproto.pgproto import UUID

from consumers.engine.record import Record

FINAL_OUTCOMES = frozenset({"succeeded", "dead_lettered", "cancelled"})


class Verdict(Enum):
    """What to do with a checked record."""

    CALL = auto()
    SKIP = auto()  # the stored row is final, or from this attempt or a later one: settle without a call
    CONFLICT = auto()  # the row belongs to another token: go on under the derived id
    UNMARKED = auto()  # malformed, and no redrive confirms the id that its header names: go on under the derived id


@dataclass(slots=True)
class StoredRow:
    """What the done-set query returns of a row of `outcomes`."""

    record_id: UUID
    token: str | None
    outcome: str
    attempt: int
    redrive_count: int


def verdict(record: Record, row: StoredRow | None) -> Verdict:
    """Decide about a record; sets its redrive count to what the row confirms, since anyone can send a header."""
    if record.needs_mark and (row is None or row.redrive_count == 0):  # only a redrive makes that more than 0
        return Verdict.UNMARKED
    if row is None:
        record.redrive_count = 0
        return Verdict.CALL
    if None not in (row.token, record.token) and row.token != record.token:
        return Verdict.CONFLICT
    record.redrive_count = min(record.redrive_count, row.redrive_count)
    if row.redrive_count > record.redrive_count or row.outcome in FINAL_OUTCOMES or row.attempt >= record.attempt:
        return Verdict.SKIP
    return Verdict.CALL
