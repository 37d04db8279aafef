import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics import headers
from topics.headers import read_headers

raw_headers = st.lists(st.tuples(st.text(), st.none() | st.binary()))


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ([], {}),
        ([("attempt", b"2")], {"attempt": "2"}),
        ([("attempt", b"1"), ("attempt", b"2")], {"attempt": "2"}),
        ([("attempt", b"")], {"attempt": ""}),
        ([("attempt", None)], {}),
        ([("attempt", b"\xff")], {}),
        ([("attempt", b"1"), ("attempt", None)], {"attempt": "1"}),
        ([("attempt", b"1"), ("attempt", b"\xff")], {"attempt": "1"}),
        ([("job-id", "caf\u00e9".encode()), ("x", b"y")], {"job-id": "caf\u00e9", "x": "y"}),
        ([("", b"nameless"), ("Attempt", b"3")], {"": "nameless", "Attempt": "3"}),
    ],
)
def test_headers_are_read_as_text(raw: list[tuple[str, bytes | None]], read: dict[str, str]) -> None:
    """The last readable one of a name counts; null and what is not UTF-8 read as absent."""
    assert read_headers(raw) == read


@given(raw_headers)
def test_no_header_can_stop_a_record(raw: list[tuple[str, bytes | None]]) -> None:
    """Total: any names and any bytes."""
    read = read_headers(raw)
    assert set(read) <= {name for name, _ in raw}
    assert all(dict(raw).get(name) is not None or text is not None for name, text in read.items())


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_was_written_as_utf8_is_read_back(written: dict[str, str]) -> None:
    """A round trip, in tuples as aiokafka gives them."""
    assert read_headers(tuple((name, text.encode()) for name, text in written.items())) == written


def test_names_are_distinct_and_in_kafkas_custom() -> None:
    """Lower case with hyphens: two constants never name the same header."""
    names = [value for name, value in vars(headers).items() if name.isupper()]
    assert len(set(names)) == len(names) == 14
    assert all(name == name.lower() and name.replace("-", "").isalpha() for name in names)
