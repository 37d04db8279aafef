"""Whether a record is still to be called, by its stored row."""

from itertools import product

import pytest

from consumers.engine.verdict import FINAL_OUTCOMES, StoredRow, Verdict, verdict
from tests.support.records import make_id, make_record

OUTCOMES = ("retrying", "cancelled", "dead_lettered", "succeeded")


def _row(outcome: str = "retrying", *, of: str | None = "t", attempt: int = 1, redrive: int = 0) -> StoredRow:
    return StoredRow(make_id(1), of, outcome, attempt, redrive)


def test_without_a_row_a_record_is_called_and_its_redrive_count_is_nothing() -> None:
    """Anyone can send a header; no row confirms it."""
    record = make_record(redrive_count=9)
    assert verdict(record, None) is Verdict.CALL
    assert record.redrive_count == 0


@pytest.mark.parametrize("outcome", sorted(FINAL_OUTCOMES))
def test_a_final_row_is_skipped_whatever_the_headers_say(outcome: str) -> None:
    """A header that claims a later redrive than the row has does not buy the answer again."""
    assert verdict(make_record(redrive_count=5, attempt=9), _row(outcome)) is Verdict.SKIP


@pytest.mark.parametrize(
    ("stored", "own", "expected"),
    [(0, 1, Verdict.CALL), (1, 1, Verdict.SKIP), (2, 1, Verdict.SKIP), (1, 2, Verdict.CALL), (3, 4, Verdict.CALL)],
)
def test_a_retrying_row_is_passed_only_by_a_later_attempt(stored: int, own: int, expected: Verdict) -> None:
    """The row's attempt is the one just made: the same attempt again is a copy."""
    assert verdict(make_record(attempt=own), _row(attempt=stored)) is expected


def test_a_row_of_a_later_redrive_is_skipped() -> None:
    """The record is from before the redrive: whatever it would find out is old."""
    assert verdict(make_record(attempt=4), _row(attempt=0, redrive=1)) is Verdict.SKIP


def test_a_redrive_that_the_row_confirms_is_called() -> None:
    """The row was moved to the next redrive, attempt 0, by whoever redrove it; more than that is not believed."""
    record = make_record(redrive_count=7)
    assert verdict(record, _row(attempt=0, redrive=2)) is Verdict.CALL
    assert record.redrive_count == 2


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_row_of_another_token_is_a_conflict(outcome: str) -> None:
    """Nothing vanishes because somebody used its id: not even behind a final row."""
    assert verdict(make_record(), _row(outcome, of="other")) is Verdict.CONFLICT


@pytest.mark.parametrize(("own", "stored"), [(None, "t"), ("t", None), (None, None)])
def test_a_missing_token_conflicts_with_nothing(own: str | None, stored: str | None) -> None:
    """A malformed record has none."""
    assert verdict(make_record(token=own), _row("succeeded", of=stored)) is Verdict.SKIP


def test_the_order_of_rows_in_full() -> None:
    """Every combination: called if and only if the row is of the same redrive, not final, and of an earlier attempt."""
    for outcome, stored_attempt, stored_redrive, attempt, redrive in product(
        OUTCOMES, range(4), range(3), range(1, 4), range(3)
    ):
        record = make_record(attempt=attempt, redrive_count=redrive)
        answer = verdict(record, _row(outcome, attempt=stored_attempt, redrive=stored_redrive))
        believed = min(redrive, stored_redrive)
        called = believed == stored_redrive and outcome == "retrying" and stored_attempt < attempt
        assert answer is (Verdict.CALL if called else Verdict.SKIP)
        assert record.redrive_count == believed


@pytest.mark.parametrize("row", [None, _row(), _row("dead_lettered"), _row("succeeded", of=None)])
def test_a_malformed_record_keeps_no_id_that_no_redrive_confirms(row: StoredRow | None) -> None:
    """Anyone can send the id of another record with bytes that name no token."""
    assert verdict(make_record(token=None, redrive_count=1, needs_mark=True), row) is Verdict.UNMARKED


def test_a_redriven_malformed_record_keeps_its_id() -> None:
    """Its row was moved to the next redrive, which only a redrive does."""
    record = make_record(token=None, redrive_count=1, needs_mark=True)
    assert verdict(record, _row(of=None, attempt=0, redrive=1)) is Verdict.CALL
