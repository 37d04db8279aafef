"""The timestamp of the first record at or above an offset, out of fetched bytes. Pure.

A batch stamped by the broker (LogAppendTime) has one timestamp for all its records, in its head: nothing is decompressed or
decoded there, so that a record which aiokafka's parser refuses has its age all the same. Markers of transactions are no
records; what compaction or an aborted transaction left out is passed over.
"""

from collections.abc import Iterator
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
    try:
        for batch in _batches(fetched, offset):
            found = batch.max_timestamp if _is_stamped_by_the_broker(batch) else _by_its_producer(batch, offset)
            if found is not None:
                return int(found)
    except (KafkaError, UnicodeDecodeError):  # corrupt, an unknown codec, or a header name that is no UTF-8
        return None
    return None


def first_append_time(fetched: bytes, offset: int) -> int | None:
    """Return when the broker appended it, in epoch milliseconds; None where its producer set the timestamp, or as above."""
    try:
        batch = next(_batches(fetched, offset), None)
    except KafkaError:
        return None
    return int(batch.max_timestamp) if batch is not None and _is_stamped_by_the_broker(batch) else None


def _batches(fetched: bytes, offset: int) -> Iterator[Any]:
    """Yield the batches that may hold records from this offset on; marks of transactions are none."""
    records = MemoryRecords(fetched)
    while records.has_next():
        batch = records.next_batch()
        if not batch.is_control_batch and batch.next_offset > offset:
            yield batch


def _is_stamped_by_the_broker(batch: Any) -> bool:
    return isinstance(batch, DefaultRecordBatch) and batch.timestamp_type == _LOG_APPEND_TIME


def _by_its_producer(batch: Any, offset: int) -> int | None:
    if not batch.validate_crc():
        return None
    return next((record.timestamp for record in batch if record.offset >= offset), None)
