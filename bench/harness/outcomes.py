"""Outcomes as a worker settles them, for benchmarks that write without one."""

from asyncpg.pgproto.pgproto import UUID

from consumers.engine.record import Record, Settled, Succeeded
from consumers.engine.window import PartitionWindow

WINDOW = PartitionWindow()
START_MS = 1_760_000_000_000


def outcome(record_id: UUID, token: str, number: int) -> Settled:
    """Make the outcome of a record that succeeded, with an answer like the mock's."""
    record = Record(WINDOW, "tokens", number % 12, number // 12, START_MS + number, None, None, (), record_id, token)
    return Settled(record, Succeeded(f'{{"token":"{token}","score":{300 + number % 550},"band":"fair"}}'))
