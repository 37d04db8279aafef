import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_api.values import TEXT_TYPE, encode_value, fits_topic, outgoing_record, read_body
from topics.catalogue import MAX_MESSAGE_BYTES
from topics.identity import new_record_id
from topics.record import MAX_TOKEN_CHARACTERS, Decoded, MalformedValueError, decode_value

PRINTABLE = st.text(min_size=1, max_size=MAX_TOKEN_CHARACTERS).filter(str.isprintable)
TRICKY = st.sampled_from(
    ["{", "[", '"', '{"token":"1"}', '"quoted"', "[1]", " padded ", "null", "007", "1e3", "a/b?c#d%2Fe"]
)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists, max_leaves=5)
EXTRA = st.dictionaries(st.text(max_size=10).filter(lambda name: name != "token"), JSON, max_size=3)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def decoded_post(token: str, extra: dict[str, Any]) -> Decoded:
    """Read a POST of a token and other fields."""
    return read_body(msgspec.json.encode({"token": token, **extra}), None)


@given(token=PRINTABLE | TRICKY, extra=EXTRA)
def test_what_a_post_produces_reads_back_to_the_same_token_and_fields(token: str, extra: dict[str, Any]) -> None:
    """The record's value, read by the grammar that workers use, is what was posted, whatever characters the token has."""
    value, _ = encode_value(decoded_post(token, extra))
    read = decode_value(value)
    assert read.token == token
    assert {name: msgspec.json.decode(raw) for name, raw in read.extra.items()} == extra


@given(token=PRINTABLE | TRICKY)
def test_a_token_alone_is_plain_text_wherever_that_says_all(token: str) -> None:
    """A console consumer shows the token itself; only one that would read differently is wrapped in JSON."""
    value, content_type = encode_value(Decoded(token))
    assert (value == token.encode()) == (content_type == TEXT_TYPE)
    if token[0] not in '{["' and token == token.strip(" "):
        assert content_type == TEXT_TYPE


def test_an_integer_keeps_its_digits() -> None:
    """A number that no double holds stays exact."""
    assert read_body(b'{"token": 12345678901234567890123}', None).token == "12345678901234567890123"


def test_extra_fields_keep_their_digits_and_spelling() -> None:
    """Raw JSON goes in and out: nothing passes through a float."""
    value, _ = encode_value(read_body(b'{"token":"1","limit":1.10,"id":12345678901234567890123}', None))
    assert value == b'{"token":"1","limit":1.10,"id":12345678901234567890123}'


@pytest.mark.parametrize(
    "body", [b"", b"1234", b'"1234"', b"[]", b"null", b'{"tokens": "1"}', b'{"token": 1.5}', b'{"token": ""}', b"{"]
)
def test_a_body_without_a_usable_token_is_malformed(body: bytes) -> None:
    """HTTP takes a JSON object and nothing else."""
    with pytest.raises(MalformedValueError):
        read_body(body, None)


def test_the_pattern_of_the_settings_decides() -> None:
    """TOKEN_PATTERN is enforced before anything is produced."""
    with pytest.raises(MalformedValueError, match="TOKEN_PATTERN"):
        read_body(b'{"token": "abc"}', re.compile("[0-9]+"))


def test_the_record_carries_its_id_and_a_valid_traceparent() -> None:
    """Key and headers are those of the contract."""
    record_id = new_record_id()
    record = outgoing_record(Decoded("1234"), record_id=record_id, traceparent=TRACEPARENT)
    assert (record.key, record.value) == (b"1234", b"1234")
    assert record.headers == {"record-id": record_id, "content-type": TEXT_TYPE, "traceparent": TRACEPARENT}


@pytest.mark.parametrize(
    "traceparent",
    ["", "x", TRACEPARENT.upper(), "ff" + TRACEPARENT[2:], TRACEPARENT + "-01", "00-" + "0" * 32 + TRACEPARENT[35:]],
)
def test_a_traceparent_that_breaks_the_standard_is_left_out(traceparent: str) -> None:
    """W3C Trace Context: restart the trace rather than pass on what nobody can read."""
    assert "traceparent" not in outgoing_record(Decoded("1"), record_id="x", traceparent=traceparent).headers


def test_a_record_over_the_topics_limit_does_not_fit() -> None:
    """The bound is checked here, since a refusal by the broker costs the producer."""
    small = outgoing_record(decoded_post("1", {"note": "a" * 1000}), record_id="x", traceparent=None)
    large = outgoing_record(decoded_post("1", {"note": "a" * MAX_MESSAGE_BYTES}), record_id="x", traceparent=None)
    assert fits_topic(small)
    assert not fits_topic(large)
