"""Whatever the bytes are, a record comes out."""

import re
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.engine.intake import derived_id, make_intake
from consumers.engine.record import Record
from consumers.engine.window import PartitionWindow
from tests.support.engine_fakes import Polled
from topics import headers as names
from topics.identity import derived_record_id

ID = "0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"
Headers = list[tuple[str, bytes | None]]
NAMES = st.sampled_from([names.RECORD_ID, names.JOB_ID, names.ATTEMPT, names.REDRIVE_COUNT, names.ERROR_KIND]) | st.text()
VALUES = st.none() | st.binary() | st.text().map(str.encode) | st.uuids().map(lambda found: str(found).encode())


def _take(value: bytes | None, headers: Headers | None = None, pattern: str | None = None) -> Record:
    polled = Polled("tokens", 3, 17, value, headers or [], b"key", 1_700_000_000_000)
    return make_intake(re.compile(pattern) if pattern else None)(polled, PartitionWindow())


DERIVED = derived_record_id("tokens", 3, 17, 1_700_000_000_000)


def test_a_console_line_is_a_token_with_the_id_of_its_coordinates() -> None:
    """No header at all: the same id at each reading."""
    record = _take(b"1234\r")
    assert (record.token, str(record.record_id), record.attempt, record.redrive_count) == ("1234", DERIVED, 1, 0)
    assert (record.complaint, record.job_id, record.key, record.value) == (None, None, b"key", b"1234\r")


def test_the_headers_that_count() -> None:
    """The id, the job and the redrive count are read; the last one of a name counts."""
    record = _take(b"1", [("record-id", b"x"), ("record-id", ID.encode()), ("job-id", ID.encode()), ("redrive-count", b"2")])
    assert (str(record.record_id), str(record.job_id), record.redrive_count) == (ID, ID, 2)


def test_attempt_and_source_of_an_outside_producer_are_ignored() -> None:
    """On `tokens` a record has not been tried, whatever it says."""
    record = _take(
        b"1", [("attempt", b"9"), ("source-topic", b"other"), ("source-offset", b"1"), ("error-kind", b"transient")]
    )
    assert (record.attempt, record.topic, record.offset) == (1, "tokens", 17)


@pytest.mark.parametrize(
    "text", [b"", b"x", b"\xff" * 16, b"\0" * 36, b"{" + ID.encode() + b"}", ID.encode() + b" ", b"0" * 500]
)
def test_an_id_that_is_none_reads_as_absent(text: bytes) -> None:
    """The record gets the id of its coordinates."""
    record = _take(b"1", [("record-id", text), ("job-id", text)])
    assert (str(record.record_id), record.job_id) == (DERIVED, None)


@pytest.mark.parametrize("text", [b"-1", b"+1", b"1.0", b"1e3", b" 1", b"1_0", b"9" * 7, b"\xd9\xa3", b"", b"\xff"])
def test_a_count_that_is_none_reads_as_nothing(text: bytes) -> None:
    """Only digits, and few of them: an Arabic three is a digit to Python, and no count."""
    assert _take(b"1", [("redrive-count", text)]).redrive_count == 0


@pytest.mark.parametrize(
    "value", [None, b"", b" \r\n", b"\xff", b"[1]", b"{", b'{"token":1.5}', b'{"token":null}', b"a\0b", b"x" * 257]
)
def test_a_malformed_record_has_a_complaint_and_the_derived_id(value: bytes | None) -> None:
    """Its own id is not believed; its bytes are kept."""
    record = _take(value, [("record-id", ID.encode())])
    assert (record.token, str(record.record_id), record.value) == (None, DERIVED, value)
    assert record.complaint


def test_a_token_that_does_not_match_the_pattern_is_malformed() -> None:
    """TOKEN_PATTERN is asked of the whole token."""
    assert _take(b"12", pattern="[0-9]{2}").token == "12"
    assert "TOKEN_PATTERN" in (_take(b"123", pattern="[0-9]{2}").complaint or "")


def test_unknown_fields_are_kept_as_they_were_written() -> None:
    """For the provider's templates."""
    assert {name: bytes(raw) for name, raw in _take(b'{"token":"1","a":1e400,"b":[ ]}').extra.items()} == {
        "a": b"1e400",
        "b": b"[ ]",
    }


def test_derived_ids_differ_from_each_other_and_are_the_same_each_time() -> None:
    """A record whose derived id is another token's goes on to the next; a second reading goes the same way."""
    found = []
    for derivations in range(6):
        record = _take(b"1")
        record.derivations = derivations
        found.append(str(derived_id(record)))
    assert found[:2] == [DERIVED, DERIVED]
    assert len(set(found[1:])) == 5


@given(
    st.none() | st.binary(max_size=2000) | st.text(max_size=300).map(str.encode),
    st.lists(st.tuples(NAMES, VALUES), max_size=8),
)
@example(b"[" * 100_000, [])
@example(b'{"token":' + b"[" * 100_000, [])
@example(b'{"a":' * 50_000, [])
@example(b'{"token":"\\ud800"}', [])
@example(b'"\\u0000"', [])
@example(b'{"token":' + b"9" * 300 + b"}", [])
@example(b"\xef\xbb\xbf1", [])
def test_any_value_with_any_headers_becomes_a_record(value: bytes | None, headers: Headers) -> None:
    """Total: never raises; either a token that can be stored and sent, or a complaint; always an id."""
    record = _take(value, headers)
    assert (record.token is None) is bool(record.complaint)
    if record.token is not None:
        assert 1 <= len(record.token) <= 256
        assert record.token.isprintable()
        assert record.token.encode()
    uuid.UUID(str(record.record_id))
    assert 0 <= record.redrive_count <= 999_999
    assert record.attempt == 1
