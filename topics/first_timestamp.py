"""The timestamp of the first record at or above an offset, out of fetched bytes. Pure.

A batch stamped by the broker (LogAppendTime) has one timestamp for all its records, in its head: nothing is decompressed or
decoded there, so that a record which aiokafka's parser refuses has its age all the same. Markers of transactions are no
records; what compaction or an aborted transaction left out is passed over.
"""

from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

_LOG_APPEND_TIME = 1


def has_whole_batch(fetched: bytes) -> bool:
    """Tell whether there is at least one batch that is not cut off."""
    return bool(MemoryRecords(fetched).has_next())


def first_timestamp(fetched: bytes, offset: int) -> int | None:
    """Return the timestamp in epoch milliseconds, or None where the bytes do not tell it."""
    records = MemoryRecords(fetched)
    try:
        while records.has_next():
            found = _of_batch(records.next_batch(), offset)
            if found is not None:
                return found
    except (KafkaError, UnicodeDecodeError):  # corrupt, an unknown codec, or a header name that is no UTF-8
        return None
    return None


def _of_batch(batch: Any, offset: int) -> int | None:
    if batch.is_control_batch or batch.next_offset <= offset:
        return None
    if isinstance(batch, DefaultRecordBatch) and batch.timestamp_type == _LOG_APPEND_TIME:
        timestamp: int = batch.max_timestamp
        return timestamp
    if not batch.validate_crc():
        return None
    return next((record.timestamp for record in batch if record.offset >= offset), None)
