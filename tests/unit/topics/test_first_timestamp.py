import struct

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.support.raw_batches import patched
from topics.first_timestamp import first_append_time, first_timestamp, has_whole_batch

BASE = 100
RECORDS = 5
FIRST_MS = 1_700_000_000_000
APPENDED_MS = 1_700_000_123_456
ATTRIBUTES_AT = 21
MAX_TIMESTAMP_AT = 35
LZ4 = 3
LOG_APPEND_TIME = 8
CONTROL = 32


def batch(*, base: int = BASE, compression: int = 0, name: bytes = b"ok", attributes: int = 0) -> bytes:
    """A batch of records made a second apart; `attributes` are set as a broker would."""
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1_000_000)
    for number in range(RECORDS):
        builder.append(number, FIRST_MS + 1000 * number, b"key", b"value", [("NN", b"")])
    made = bytearray(patched(bytes(builder.build()), [] if compression else [(b"NN", name)]))
    struct.pack_into(">q", made, 0, base)
    (present,) = struct.unpack_from(">h", made, ATTRIBUTES_AT)
    struct.pack_into(">h", made, ATTRIBUTES_AT, present | attributes)
    if attributes & LOG_APPEND_TIME:
        struct.pack_into(">q", made, MAX_TIMESTAMP_AT, APPENDED_MS)
    return bytes(patched(bytes(made), []))


@pytest.mark.parametrize("compression", [0, LZ4])
def test_a_record_in_the_middle_of_a_batch_has_its_own_timestamp(compression: int) -> None:
    """As the client that made it stamped it (CreateTime)."""
    data = batch(compression=compression)
    assert [first_timestamp(data, BASE + number) for number in range(RECORDS)] == [
        FIRST_MS + 1000 * number for number in range(RECORDS)
    ]


@pytest.mark.parametrize("compression", [0, LZ4])
def test_a_batch_that_the_broker_stamped_has_one_timestamp(compression: int) -> None:
    """LogAppendTime: the records carry the client's, which do not count."""
    data = batch(compression=compression, attributes=LOG_APPEND_TIME)
    assert {first_timestamp(data, BASE + number) for number in range(RECORDS)} == {APPENDED_MS}


def test_an_append_time_is_the_brokers_or_none() -> None:
    """The first record decides, whoever stamped those behind it; a marker before it is no record, rubbish tells nothing."""
    stamped, created = batch(attributes=LOG_APPEND_TIME), batch(base=BASE + 50)
    marker = batch(base=BASE - 50, attributes=CONTROL | LOG_APPEND_TIME)
    assert first_append_time(marker + stamped + created, BASE) == APPENDED_MS
    assert first_append_time(created + stamped, BASE) is None
    assert first_append_time(b"", BASE) is None
    assert first_append_time(stamped[:40], BASE) is None


def test_what_lies_before_the_offset_is_passed_over() -> None:
    """A batch below it, and an offset that compaction left out: the next record counts."""
    data = batch() + batch(base=BASE + 50)
    assert first_timestamp(data, BASE + 20) == FIRST_MS
    assert first_timestamp(data, BASE + 51) == FIRST_MS + 1000


def test_a_marker_of_a_transaction_is_no_record() -> None:
    """The record behind it counts; alone it tells nothing."""
    marker = batch(attributes=CONTROL | LOG_APPEND_TIME)
    assert first_timestamp(marker, BASE) is None
    assert first_timestamp(marker + batch(base=BASE + 50), BASE) == FIRST_MS


def test_a_header_name_that_is_no_utf_8_hides_the_age_only_where_the_record_must_be_decoded() -> None:
    """The broker's stamp stands in the head of the batch; a client's does not, and is unknown then."""
    assert first_timestamp(batch(name=b"\xff\xfe", attributes=LOG_APPEND_TIME), BASE) == APPENDED_MS
    assert first_timestamp(batch(name=b"\xff\xfe"), BASE) is None


def test_bytes_that_are_none_cut_off_or_spoilt_tell_nothing() -> None:
    """No guess is made."""
    whole = batch()
    spoilt = whole[:-3] + b"\x00" + whole[-2:]
    assert [first_timestamp(data, BASE) for data in (b"", whole[:-1], whole[:5], spoilt)] == [None] * 4
    assert [has_whole_batch(data) for data in (b"", whole, whole[:-1], whole + whole[:9])] == [False, True, False, True]
