import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics.identity import derived_record_id, new_record_id, parse_record_id

coordinates = st.tuples(
    st.text("abcdefghijklmnopqrstuvwxyz.-_0123456789", min_size=1),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**63 - 1),
)


def test_new_ids_are_version_7_distinct_and_in_order_of_time() -> None:
    """Index pages fill in order: ids made one after the other sort so, to the millisecond."""
    ids = [new_record_id() for _ in range(10_000)]
    assert len(set(ids)) == 10_000
    assert {uuid.UUID(each).version for each in ids} == {7}
    prefixes = [each[:13] for each in ids]
    assert prefixes == sorted(prefixes)


@given(coordinates, coordinates)
def test_a_derived_id_is_of_the_coordinates_and_of_nothing_else(
    one: tuple[str, int, int, int], other: tuple[str, int, int, int]
) -> None:
    """The same record gives the same id in every process; another record, another id."""
    assert derived_record_id(*one) == derived_record_id(*one)
    assert (derived_record_id(*one) == derived_record_id(*other)) == (one == other)
    assert uuid.UUID(derived_record_id(*one)).version == 5


def test_derived_ids_never_change() -> None:
    """They are stored: another formula would make every undelivered record without a header look new."""
    assert derived_record_id("tokens", 3, 42, 1_700_000_000_000) == "9a5bc2cc-483e-55b1-a1ee-97375d7d2367"


@pytest.mark.parametrize("change", [("tokens2", 1, 2, 3), ("tokens", 2, 2, 3), ("tokens", 1, 3, 3), ("tokens", 1, 2, 4)])
def test_each_coordinate_counts(change: tuple[str, int, int, int]) -> None:
    """The timestamp too: a topic that was deleted and made again repeats offsets, not ids."""
    assert derived_record_id("tokens", 1, 2, 3) != derived_record_id(*change)


@given(st.uuids())
def test_every_way_to_write_a_uuid_is_read_as_one_id(value: uuid.UUID) -> None:
    """Upper case, no hyphens, braces and URN are the same id, so that they find the same row."""
    for text in (str(value), str(value).upper(), value.hex, f"{{{value}}}", value.urn):
        assert parse_record_id(text) == str(value)


@given(st.text())
def test_any_text_is_an_id_in_canonical_form_or_none(text: str) -> None:
    """Total: a header can never stop a record."""
    read = parse_record_id(text)
    if read is not None:
        assert parse_record_id(read) == read == str(uuid.UUID(read))


@pytest.mark.parametrize("text", ["", "1234", "null", "00000000-0000-0000-0000-00000000000", "g" * 32, "\u0000" * 32])
def test_what_is_no_uuid_is_none(text: str) -> None:
    """The record then gets its derived id."""
    assert parse_record_id(text) is None
