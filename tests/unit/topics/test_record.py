import re
from contextlib import suppress

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topics.record import MAX_TOKEN_CHARACTERS, Decoded, MalformedValueError, decode_value, validate_token

EDGES = " \t\n\r\v\f"

TOKENS: list[tuple[bytes, str]] = [
    # Text as written: nothing is a number, a null or a boolean.
    (b"1234", "1234"),
    (b"007", "007"),
    (b"1e3", "1e3"),
    (b"-0.50", "-0.50"),
    (b"null", "null"),
    (b"true", "true"),
    (b"1234\r\n", "1234"),
    (b" \t\v\f1234 \n", "1234"),
    (b"two words", "two words"),
    (b"a,b;c", "a,b;c"),
    (b"'quoted'", "'quoted'"),
    (b'half"quote', 'half"quote'),
    (b"caf\xc3\xa9", "caf\u00e9"),
    (b"\xf0\x9f\x98\x80", "\U0001f600"),
    (b"x" * 256, "x" * 256),
    # JSON strings: escapes are undone, blanks inside the quotes stay.
    (b'"1234"', "1234"),
    (b' "1234" \r\n', "1234"),
    (b'" a "', " a "),
    (b'"[1]"', "[1]"),
    (b'"caf\\u00e9 \\ud83d\\ude00"', "caf\u00e9 \U0001f600"),
    (b'"\\"\\\\\\/"', '"\\/'),
    # JSON objects: a string, or an integer digit by digit, however long.
    (b'{"token":"1234"}', "1234"),
    (b'{"token": 1234}', "1234"),
    (b'{"token":-7}', "-7"),
    (b'{"token":-0}', "-0"),
    (b'{"token":123456789012345678901234567890}', "123456789012345678901234567890"),
    (b'\n { "a" : 1 , "token" : "1234" }\n', "1234"),
    (b'{"token":"first","token":"last"}', "last"),
    (b'{"tok\\u0065n":"1234"}', "1234"),
]

COMPLAINTS: list[tuple[bytes | None, str]] = [
    (None, "null"),
    (b"", "empty"),
    (b" \r\n\t", "empty"),
    (b'""', "empty"),
    (b'{"token":""}', "empty"),
    (b"x" * 257, "257 characters"),
    (b'"' + b"x" * 257 + b'"', "257 characters"),
    (b'{"token":' + b"1" * 257 + b"}", "257 characters"),
    (b"\xff", "not UTF-8: byte 0 is 0xff"),
    (b"ab\xc3", "not UTF-8: byte 2 is 0xc3"),
    (b'{"token":"\xed\xa0\x80"}', "not UTF-8"),
    (b"a\tb", "character 2 of the token, U\\+0009"),
    (b"a\nb", "U\\+000A"),
    (b"a\x00b", "U\\+0000"),
    (b'"a\\u0000b"', "U\\+0000"),
    (b"\xef\xbb\xbf1234", "U\\+FEFF"),
    (b"\xc2\xa01234", "U\\+00A0"),
    ("\u202e1234".encode(), "U\\+202E"),
    (b"[1234]", "list"),
    (b"[", "list"),
    (b' ["1234"]', "list"),
    (b"{", "not valid JSON"),
    (b"{}", 'no "token"'),
    (b'{"Token":"1234"}', 'no "token"'),
    (b'{"token":null}', "neither a string nor an integer"),
    (b'{"token":true}', "neither"),
    (b'{"token":1.5}', "neither"),
    (b'{"token":1e3}', "neither"),
    (b'{"token":["1234"]}', "neither"),
    (b'{"token":{"token":"1234"}}', "neither"),
    (b'{"token":01}', "not valid JSON"),
    (b'{"token":NaN}', "not valid JSON"),
    (b'{"token":"1234",}', "not valid JSON"),
    (b"{'token':'1234'}", "not valid JSON"),
    (b'{"token":"1234"} x', "not valid JSON"),
    (b'{"token":"1"}\n{"token":"2"}', "not valid JSON"),
    (b'{"token":"1234","x":nul}', "not valid JSON"),
    (b'{"token":"\\ud800"}', "not valid JSON"),
    (b'{"token":"1234","x":"\\ud800"}', "not valid JSON"),
    (b'{"token":"1234","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
    (b'{"a":' * 100_000, "not valid JSON"),
    (b'"1234', "not a valid JSON string"),
    (b'"1" "2"', "not a valid JSON string"),
    (b'"\\ud800"', "not a valid JSON string"),
    (b'"\\x"', "not a valid JSON string"),
]

printable = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=MAX_TOKEN_CHARACTERS)
json_names = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | json_names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(json_names, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("value", "token"), TOKENS)
def test_a_value_names_its_token(value: bytes, token: str) -> None:
    """The grammar by example."""
    assert decode_value(value).token == token


@pytest.mark.parametrize(("value", "complaint"), COMPLAINTS)
def test_a_malformed_value_is_told_what_is_wrong(value: bytes | None, complaint: str) -> None:
    """Everything else is malformed, and the sentence says why."""
    with pytest.raises(MalformedValueError, match=complaint):
        decode_value(value)


@given(st.binary(max_size=600) | st.text().map(str.encode) | json_values.map(msgspec.json.encode))
@example(b"\xef\xbb\xbf{}")
@example(b"{" * 5000)
def test_the_grammar_is_total_over_bytes(value: bytes) -> None:
    """Any bytes give a token that can be stored or the one error, never another exception."""
    with suppress(MalformedValueError):
        token = decode_value(value).token
        assert 1 <= len(token) <= MAX_TOKEN_CHARACTERS
        assert token.isprintable()
        assert "\x00" not in token
        token.encode()


def _complaint(value: bytes) -> str:
    try:
        decode_value(value)
    except MalformedValueError as error:
        return str(error)
    return ""


@given(st.binary(max_size=2000))
def test_a_complaint_is_short(value: bytes) -> None:
    """It goes into a header and a row: it never carries the value along."""
    complaint = _complaint(value)
    assert len(complaint) <= 400
    assert "\n" not in complaint


@given(printable, st.sampled_from(["", " ", "\r\n", "\t \n"]))
def test_text_is_its_own_token(token: str, edge: str) -> None:
    """One line of kafka-console-producer is a token, whatever the line end, unless JSON begins there."""
    if token[0] not in '{["' and token.strip(EDGES) == token:
        assert decode_value((edge + token + edge).encode()).token == token


@given(printable)
def test_a_token_can_be_sent_in_each_form(token: str) -> None:
    """A JSON string and a JSON object carry every token, also those that text cannot."""
    assert decode_value(msgspec.json.encode(token)).token == token
    assert decode_value(msgspec.json.encode({"token": token})).token == token


@given(st.integers())
def test_an_integer_is_its_digits(number: int) -> None:
    """No number passes through a float."""
    written = str(number)
    if len(written) <= MAX_TOKEN_CHARACTERS:
        assert decode_value(f'{{"token":{written}}}'.encode()).token == written


@given(printable, st.dictionaries(json_names, json_values, max_size=4))
def test_the_other_fields_of_the_object_are_kept(token: str, fields: dict[str, object]) -> None:
    """They reach the provider's templates as they were sent."""
    fields.pop("token", None)
    decoded = decode_value(msgspec.json.encode({"token": token} | fields))
    assert {name: msgspec.json.decode(raw) for name, raw in decoded.extra.items()} == fields


def test_text_has_no_other_fields() -> None:
    """Two records share no mapping."""
    first, second = decode_value(b"1"), decode_value(b"2")
    assert first == Decoded("1", {})
    assert first.extra is not second.extra


@pytest.mark.parametrize("value", [b"AB-12", b'"AB-12"', b'{"token":"AB-12"}'])
def test_a_pattern_must_match_the_whole_token(value: bytes) -> None:
    """TOKEN_PATTERN is no search: a part that matches is not enough."""
    assert decode_value(value, re.compile(r"[A-Z]+-\d+")).token == "AB-12"
    with pytest.raises(MalformedValueError, match="TOKEN_PATTERN"):
        decode_value(value, re.compile(r"[A-Z]+"))


@given(st.text())
def test_a_token_that_is_accepted_is_not_changed(token: str) -> None:
    """`validate_token` judges and does not mend: it neither trims nor normalises."""
    with suppress(MalformedValueError):
        assert validate_token(token) is token
