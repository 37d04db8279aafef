import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics import headers
from topics.headers import CONNECT_PREFIX, OURS, connect_headers, hop_headers, read_headers

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
    names = [value for name, value in vars(headers).items() if name.isupper() and name not in {"OURS", "CONNECT_PREFIX"}]
    assert len(set(names)) == len(names) == 14
    assert set(names) == OURS
    assert all(name == name.lower() and name.replace("-", "").isalpha() for name in names)


def test_a_hop_says_ours_anew_and_leaves_the_foreign_ones_as_they_came() -> None:
    """Order and bytes kept, repeats and nulls too; what is None is left out; what was ours or Connect's is replaced."""
    original = [
        ("origin", b"\xff"), ("attempt", b"1"), ("attempt", b"7"), ("origin", None), ("error-kind", b"transient"),
        ("__connect.errors.topic", b"old"), ("", b""), ("Attempt", b"x"),
    ]  # fmt: skip
    hop = hop_headers(original, {"attempt": "2", "job-id": None, "__connect.errors.topic": "new"})
    assert hop == [
        ("attempt", b"2"),
        ("__connect.errors.topic", b"new"),
        ("origin", b"\xff"),
        ("origin", None),
        ("", b""),
        ("Attempt", b"x"),
    ]


@given(raw_headers, st.dictionaries(st.sampled_from(sorted(OURS)), st.none() | st.text()))
def test_headers_do_not_grow_from_hop_to_hop(raw: list[tuple[str, bytes | None]], ours: dict[str, str | None]) -> None:
    """The second hop with the same headers is the first one; ours come once; any text, lone surrogates too, is UTF-8."""
    first = hop_headers(raw, ours)
    assert hop_headers(first, ours) == first
    names = [name for name, _ in first if name in OURS]
    assert sorted(names) == sorted(name for name, text in ours.items() if text is not None)
    assert all(value is None or name not in OURS or value.decode() is not None for name, value in first)


def test_connect_headers_have_the_names_that_viewers_of_dead_letters_know() -> None:
    """Kafka Connect's own, as text."""
    found = connect_headers(topic="t", partition=3, offset=17, exception_class="a.B", exception_message="why")
    assert found == {
        "__connect.errors.topic": "t",
        "__connect.errors.partition": "3",
        "__connect.errors.offset": "17",
        "__connect.errors.exception.class.name": "a.B",
        "__connect.errors.exception.message": "why",
    }
    assert all(name.startswith(CONNECT_PREFIX) for name in found)
