r"""Header names that are no UTF-8, which a broker takes and aiokafka's parser does not: read with those bytes escaped.

Such a record would end every worker that polls it. aiokafka has no seam between the bytes it fetched and its records, so
this is put in its place where the fetcher makes them (`accept_any_header_name`). It hands out what the strict parser
reads; where that one fails in a batch, the rest of the batch is read once more by aiokafka's own parser of pure Python, over
bytes that decode to text with escapes: the name FF 61 reads as `\xffa`. What is corrupt otherwise fails as before.
Written against aiokafka 0.14; tests/integration/test_contract_header_names.py guards it on a real broker.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_HEAD = struct.Struct(">qi")
"""Of a batch: base offset, and the length of what follows (Kafka's message format 2)."""
_MAGIC = 2


def accept_any_header_name() -> None:
    """Let every consumer of this process read such records. Idempotent; call it before the first one fetches."""
    fetcher.MemoryRecords = TolerantRecords


class TolerantRecords:
    """The batches of one fetched partition, as aiokafka's fetcher asks for them."""

    def __init__(self, fetched: bytes) -> None:
        self._strict = MemoryRecords(fetched)
        self._fetched = memoryview(fetched)
        self._at = 0

    def size_in_bytes(self) -> int:
        """Count the bytes that were fetched."""
        size: int = self._strict.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Tell whether another whole batch is there."""
        more: bool = self._strict.has_next()
        return more

    def next_batch(self) -> Any:
        """Return the next batch, None behind the last."""
        batch = self._strict.next_batch()
        if batch is None or batch.magic < _MAGIC:
            return batch
        _, length = _HEAD.unpack_from(self._fetched, self._at)
        start, self._at = self._at, self._at + _HEAD.size + length
        return _Batch(batch, self._fetched[start : self._at])


class _Batch:
    """A batch whose records are read strictly, and leniently from the first one that cannot be."""

    def __init__(self, strict: Any, data: memoryview) -> None:
        self._strict = strict
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def __next__(self) -> Any:
        return next(self._strict)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._strict:
                yield record
                read += 1
        except (CorruptRecordException, UnicodeDecodeError):
            yield from islice(_leniently(self._data), read, None)


def _leniently(data: memoryview) -> Any:
    batch = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()  # noqa: SLF001 - the bytes to decode are there only now
    batch._buffer = _EscapingBytes(batch._buffer)  # noqa: SLF001 - see the module
    return iter(batch)


class _EscapingBytes(bytearray):
    """Bytes whose slices decode to text whatever they are."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _EscapingBytes(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)
