"""Which record ids this worker has in hand, so that copies of one record never run side by side. Pure.

A crash between a produce and its commit leaves two copies of a record with one id. An id is claimed from its check until its
row is committed (unsaved answers in the sink included). A copy that is not newer follows the claimed record: it settles when
that one does, not before, since until then nothing about it is durable. A newer copy waits and is checked again. Another
token under the same id is another record, which gets the id derived from its coordinates; but who the id belongs to is known
only once the claimed record was checked against its stored row, so until then the rival waits: else a record that is stored
would be called again because another token came a moment before it. Mutated on the event loop by the
check (claim, release), the sink and the handover (release).
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from asyncpg.pgproto.pgproto import UUID

from consumers.engine.record import Record


class Claim(Enum):
    """Answer to a claim."""

    GRANTED = auto()  # go on with the check
    FOLLOWS = auto()  # settles together with the claimed record
    WAITS = auto()  # is checked again when the claimed record is settled, or has turned out to own the id or not
    CONFLICTS = auto()  # the id belongs to another token: take the derived id and claim again


@dataclass(slots=True)
class _Held:
    record: Record
    followers: list[Record] = field(default_factory=list)
    waiters: list[Record] = field(default_factory=list)
    rivals: list[Record] = field(default_factory=list)
    confirmed: bool = False


@dataclass(slots=True)
class Released:
    """What hung on a claim: `followers` settle now, `waiters` are to be checked again."""

    followers: list[Record]
    waiters: list[Record]


_NOTHING = Released([], [])


class Claims:
    """record id -> the record in hand and the copies that hang on it."""

    def __init__(self) -> None:
        self._held: dict[UUID, _Held] = {}

    def __len__(self) -> int:
        """Count the claimed ids."""
        return len(self._held)

    def claim(self, record: Record) -> Claim:
        """Claim the record's id, or say how the record relates to the one that holds it."""
        held = self._held.get(record.record_id)
        if held is None:
            self._held[record.record_id] = _Held(record)
            return Claim.GRANTED
        if not held.confirmed:
            held.rivals.append(record)
            return Claim.WAITS
        if None not in (record.token, held.record.token) and record.token != held.record.token:
            return Claim.CONFLICTS
        if record.version <= held.record.version:
            held.followers.append(record)
            return Claim.FOLLOWS
        held.waiters.append(record)
        return Claim.WAITS

    def release(self, record: Record) -> Released:
        """End the claim of a record that is settled or given back; hand back what hung on it. Idempotent."""
        held = self._held.get(record.record_id)
        if held is None or held.record is not record:
            return _NOTHING
        del self._held[record.record_id]
        return Released(held.followers, held.waiters + held.rivals)

    def confirm(self, record: Record) -> list[Record]:
        """Note that no stored row gives the claimed id to another token; return the rivals, to be checked again."""
        held = self._held.get(record.record_id)
        if held is None or held.record is not record:
            return []
        held.confirmed = True
        rivals, held.rivals = held.rivals, []
        return rivals

    def move(self, record: Record, record_id: UUID) -> bool:
        """Go on holding a claim, and what hangs on it, under another id; False (nothing changed) if that one is taken."""
        held = self._held.get(record.record_id)
        if record_id in self._held or held is None or held.record is not record:
            return False
        del self._held[record.record_id]
        self._held[record_id] = held
        for copy in (record, *held.followers, *held.waiters):
            copy.record_id = record_id
        return True
