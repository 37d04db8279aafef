"""From settled records to columns."""

import base64
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.record import DeadLettered, ErrorKind, Settled, Succeeded
from consumers.store.rows import dead_letter_columns, encode_headers, in_write_order, outcome_columns, storable_ms
from tests.support.records import make_id, make_record

MOMENT_MS = 1_700_000_000_000


def test_an_answer_is_thirteen_columns() -> None:
    """In the order of upsert_outcomes.sql; one list a column."""
    settled = [
        Settled(make_record(1, job_id=make_id(9), redrive_count=2), Succeeded('{"a":1}')),
        Settled(make_record(2), Succeeded("1")),
    ]
    assert outcome_columns(settled) == (
        [make_id(1), make_id(2)],
        ["t", "t"],
        [make_id(9), None],
        ["succeeded", "succeeded"],
        [1, 1],
        [2, 0],
        ['{"a":1}', "1"],
        [None, None],
        [None, None],
        ["tokens", "tokens"],
        [0, 0],
        [1, 2],
        [MOMENT_MS, MOMENT_MS],
    )
    assert dead_letter_columns(settled) == ()


def test_a_dead_letter_carries_the_original_bytes() -> None:
    """Fourteen columns, of the dead letters alone; a null value and a null key stay null."""
    dead = DeadLettered(ErrorKind.MALFORMED, "no token")
    settled = [
        Settled(make_record(1), Succeeded("1")),
        Settled(make_record(2, token=None, key=b"k", value=None, headers=[("a", b"\xff")]), dead),
    ]
    assert outcome_columns(settled)[3] == ["succeeded", "dead_lettered"]
    assert dead_letter_columns(settled) == (
        [make_id(2)],
        [None],
        [None],
        [0],
        [1],
        ["malformed"],
        ["no token"],
        [b"k"],
        [None],
        [b'[["a","/w=="]]'],
        ["tokens"],
        [0],
        [2],
        [MOMENT_MS],
    )


@given(st.lists(st.integers(0, 2**128 - 1), unique=True))
def test_rows_are_written_in_the_order_of_their_ids(numbers: list[int]) -> None:
    """Two workers that write the same rows lock them in one order, which is the database's own of uuid."""
    ordered = in_write_order([Settled(make_record(number, offset=-number), Succeeded("1")) for number in numbers])
    assert [one.record.record_id for one in ordered] == [make_id(number) for number in sorted(numbers)]


@given(st.lists(st.tuples(st.text(), st.none() | st.binary())))
def test_headers_come_back_as_they_were(headers: list[tuple[str, bytes | None]]) -> None:
    """Order, repeats, empty and null values included."""
    read = msgspec.json.decode(encode_headers(headers), type=list[tuple[str, str | None]])
    assert [(name, None if text is None else base64.b64decode(text)) for name, text in read] == headers


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_timestamp_that_a_record_can_have_is_a_date(timestamp_ms: int) -> None:
    """What is a date already stays as it is."""
    stored = storable_ms(timestamp_ms)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=stored)
    assert stored == timestamp_ms or moment.year in {1, 9999}
