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


def test_an_answer_is_thirteen_columns_and_four_values() -> None:
    """In the order of upsert_outcomes.sql; a column of nulls is empty, one of the four that does not vary is a value."""
    settled = [
        Settled(make_record(1, job_id=make_id(9), redrive_count=2), Succeeded('{"a":1}')),
        Settled(make_record(2), Succeeded("1")),
    ]
    assert outcome_columns(settled) == (
        [make_id(1), make_id(2)],
        ["t", "t"],
        [make_id(9), None],
        [],
        [],
        [2, 0],
        ['{"a":1}', "1"],
        [],
        [],
        [],
        [0, 0],
        [1, 2],
        [MOMENT_MS, MOMENT_MS],
        "succeeded",
        1,
        None,
        "tokens",
    )
    assert dead_letter_columns(settled) == ()


RECORDS = st.builds(
    make_record,
    st.integers(0, 2**128 - 1),
    attempt=st.integers(0, 2),
    redrive_count=st.integers(0, 2),
    job_id=st.none() | st.just(make_id(9)),
)
RESULTS = st.just(Succeeded("1")) | st.just(DeadLettered(ErrorKind.REJECTED, "HTTP 404"))


@given(st.lists(st.builds(Settled, RECORDS, RESULTS), min_size=1, max_size=5))
def test_every_row_can_be_read_back_from_the_columns(settled: list[Settled]) -> None:
    """As the statement reads them: short columns end in nulls, which the four values replace."""
    arguments = outcome_columns(settled)
    given_columns = [column for column in arguments if isinstance(column, list)]
    columns = [[*column, *[None] * (len(settled) - len(column))] for column in given_columns]
    for position, value in zip((3, 4, 5, 9), arguments[13:], strict=True):
        columns[position] = [value if each is None else each for each in columns[position]]
    assert [(row[0], row[2], row[3], row[4], row[5], row[7], row[9]) for row in zip(*columns, strict=True)] == [
        (
            one.record.record_id,
            one.record.job_id,
            "succeeded" if isinstance(one.outcome, Succeeded) else "dead_lettered",
            one.record.attempt,
            one.record.redrive_count,
            None if isinstance(one.outcome, Succeeded) else one.outcome.kind,
            one.record.topic,
        )
        for one in settled
    ]


def test_a_dead_letter_carries_the_original_bytes() -> None:
    """Fourteen columns, of the dead letters alone; a null value and a null key stay null."""
    dead = DeadLettered(ErrorKind.MALFORMED, "no token")
    settled = [
        Settled(make_record(1), Succeeded("1")),
        Settled(make_record(2, token=None, key=b"k", value=None, headers=[("a", b"\xff")]), dead),
    ]
    assert outcome_columns(settled)[3] == ["succeeded", "dead_lettered"]
    assert outcome_columns(settled)[13] is None
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
