import gzip
import struct
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from consumers.header_names import TolerantRecords
from tests.support.raw_batches import CRC_AT, CRC_FROM, patched

HEADER_BYTES = 61
GZIP = 1
Content = list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]
records = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=20),
        st.lists(
            st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.none() | st.binary(max_size=5))
        ),
    ),
    min_size=1,
    max_size=6,
)


def build(content: Content, *, compression: int = 0) -> bytes:
    """Make a batch as a producer does."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1_000_000)
    for number, (key, value, headers) in enumerate(content):
        builder.append(number, 1_700_000_000_000, key, value, headers)
    return bytes(builder.build())


def read(fetched: bytes, reader: Callable[[bytes], Any] = TolerantRecords) -> list[tuple[Any, ...]]:
    """Read everything as aiokafka's fetcher does."""
    batches, found = reader(fetched), list[tuple[Any, ...]]()
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        found += [(record.offset, record.timestamp, record.key, record.value, record.headers) for record in batch]
    assert batches.next_batch() is None
    return found


@given(st.lists(records, max_size=3), st.sampled_from([0, 1, 2, 3, 4]))
def test_what_the_strict_parser_reads_is_read_alike(batches: list[Content], compression: int) -> None:
    """Any batches, any compression: the same records, in the same order."""
    fetched = b"".join(build(content, compression=compression) for content in batches)
    assert read(fetched) == read(fetched, MemoryRecords)


@given(records, records)
def test_every_record_of_a_batch_with_an_odd_name_is_read_once(before: Content, after: Content) -> None:
    """Those before it, it, and those behind it; the next batch too."""
    content: Content = [*before, (b"k", b"v", [("odd-NAME", b"\xff"), ("plain", None)]), *after]
    clean = build(content)
    odd = patched(clean, [(b"odd-NAME", b"odd-\xff\xed\xa0\x80")])
    expected = read(clean, MemoryRecords) * 2
    place = len(before)
    for at in (place, place + len(content)):
        expected[at] = (*expected[at][:4], [("odd-\\xff\\xed\\xa0\\x80", b"\xff"), ("plain", None)])
    assert read(bytes(odd) * 2) == expected


def test_an_odd_name_in_a_compressed_batch_is_read_too() -> None:
    """The bytes to decode are there only after the batch was opened."""
    plain = bytes(patched(build([(None, b"v", [("NAME", b"1")])]), [(b"NAME", b"\xff\xff\xff\xff")]))
    squeezed = gzip.compress(plain[HEADER_BYTES:])
    head = bytearray(plain[:HEADER_BYTES])
    struct.pack_into(">i", head, 8, HEADER_BYTES - 12 + len(squeezed))
    struct.pack_into(">h", head, CRC_FROM, GZIP)
    batch = bytes(head) + squeezed
    batch = batch[:CRC_AT] + struct.pack(">I", calc_crc32c(batch[CRC_FROM:])) + batch[CRC_FROM:]
    assert read(batch)[0][3:] == (b"v", [("\\xff" * 4, b"1")])


def test_what_is_corrupt_otherwise_fails_as_before() -> None:
    """A record whose length is a lie is no odd name."""
    batch = build([(None, b"value", [])])
    broken = bytearray(batch)
    broken[HEADER_BYTES] += 2  # the varint of the record's length
    broken[CRC_AT:CRC_FROM] = struct.pack(">I", calc_crc32c(bytes(broken[CRC_FROM:])))
    with pytest.raises(CorruptRecordException):
        read(bytes(broken))
