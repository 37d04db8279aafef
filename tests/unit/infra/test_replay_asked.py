"""What a replay does with a record, and what its copies carry."""

import uuid

import msgspec
import pytest
from asyncpg.pgproto.pgproto import UUID

from consumers.engine.verdict import StoredRow
from infra.replay.asked import Asked, Fate, copy_of_record, fate, forced_copy, read_from_offset, root_id
from tests.support.records import make_id, make_record

RUN = uuid.UUID("0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e")


def _row(outcome: str) -> StoredRow:
    return StoredRow(make_id(1), "t", outcome, 1, 0)


def test_what_is_stored_is_left_alone_and_what_is_lost_or_failed_is_not() -> None:
    """By the row alone; whether a copy is to come is seen later."""
    assert fate(None) is Fate.MISSING
    assert {outcome: fate(_row(outcome)) for outcome in ("succeeded", "cancelled", "dead_lettered", "retrying")} == {
        "succeeded": Fate.DONE,
        "cancelled": Fate.DONE,
        "dead_lettered": Fate.AGAIN,
        "retrying": Fate.AGAIN,
    }


def test_a_copy_has_its_own_id_and_the_bytes_as_they_came() -> None:
    """Foreign headers stay, ours are anew; a redrive says how often, and since when it failed."""
    headers = [("origin", b"\xff"), ("record-id", b"forged"), ("attempt", b"9"), ("first-failed-at", b"then")]
    record = make_record(7, partition=3, headers=headers, job_id=make_id(5), key=b"k", value=b"\xff\xfe")
    copy = copy_of_record(record, redrive_count=2)
    assert (copy.partition, copy.key, copy.value) == (3, b"k", b"\xff\xfe")
    assert dict(copy.headers) == {
        "record-id": str(make_id(7)).encode(),
        "job-id": str(make_id(5)).encode(),
        "redrive-count": b"2",
        "first-failed-at": b"then",
        "origin": b"\xff",
    }
    assert "first-failed-at" not in dict(copy_of_record(record).headers)


def test_a_forced_copy_has_one_id_for_each_run_and_names_what_it_is_a_copy_of() -> None:
    """The same in each part of a run, another in another run; a copy of a copy names the first."""
    record = make_record(7)
    copy = forced_copy(record, RUN)
    assert copy == forced_copy(record, RUN)
    assert copy.record_id not in {uuid.UUID(str(make_id(7))), forced_copy(record, uuid.uuid4()).record_id}
    assert dict(copy.headers)["replay-of"] == str(make_id(7)).encode()
    again = make_record(8, headers=copy.headers)
    assert root_id(again) == uuid.UUID(str(make_id(7)))
    assert forced_copy(again, RUN) == copy
    assert root_id(make_record(8, headers=[("replay-of", b"rubbish")])) == uuid.UUID(str(make_id(8)))


def test_only_what_is_asked_for_is_meant() -> None:
    """A job, tokens, or all; by force nothing that has no token."""
    record = make_record(1, token="t1", job_id=make_id(5))
    assert Asked().wants(record)
    assert Asked(job=uuid.UUID(str(make_id(5)))).wants(record)
    assert not Asked(job=RUN).wants(record)
    assert not Asked(tokens=frozenset({"t2"})).wants(record)
    malformed = make_record(2, token=None)
    assert Asked().wants(malformed)
    assert not Asked(force=True).wants(malformed)


def test_the_audit_row_says_what_was_asked_for() -> None:
    """And only that; tokens by their number."""
    asked = Asked(from_offsets={3: 1200}, tokens=frozenset({"a", "b"}), force=True)
    assert msgspec.json.decode(asked.to_json()) == {"from_offsets": {"3": 1200}, "tokens": 2, "force": True}
    assert Asked().to_json() == "{}"


def test_a_place_is_a_partition_and_an_offset() -> None:
    """Anything else says how to write one."""
    assert read_from_offset("3:1200") == (3, 1200)
    for text in ("3", "3:", ":3", "a:3", "3:-1", "3:1:2", "\u0663:1", f"{2**31}:0", f"0:{2**63}"):
        with pytest.raises(ValueError, match="no place"):
            read_from_offset(text)


def test_ids_of_asyncpg_are_taken() -> None:
    """Records carry asyncpg's own class."""
    assert isinstance(make_record(1).record_id, UUID)
    assert isinstance(copy_of_record(make_record(1)).record_id, uuid.UUID)
