from time import time

from tests.support.account import Account, Repeat, Row, Statement

CALLS = {"a": 1, "b": 1}


def account() -> Account:
    """Two tokens, on partitions 0 and 1."""
    return Account("a test", seed=1, placed={"a": (0, 0), "b": (1, 0)})


def close(
    subject: Account, *, rows: list[Row] | None = None, calls: dict[str, int] | None = None, counted: int | None = None
) -> Statement:
    """Draw it up; nothing is wrong unless given. A token called twice was called again after its row was written."""
    found = calls or CALLS
    repeats = [Repeat(token, time() + 2) for token, count in found.items() if count > 1]
    return subject.close(rows or [Row("a", time() + 1), Row("b", time() + 1)], found, repeats, counted=counted)


def test_a_true_account_has_no_complaint() -> None:
    """Every token one row and one call."""
    statement = close(account(), counted=0)
    assert statement.complaints() == []
    assert (statement.result.tokens, statement.result.lost, statement.result.repeated, statement.result.bound) == (
        2,
        0,
        0,
        0,
    )


def test_what_is_missing_doubled_or_strange_is_said() -> None:
    """One sentence each."""
    assert close(account(), rows=[Row("a", 1)]).complaints() == ["1 tokens have no final row"]
    doubled = [Row("a", 1), Row("a", 2), Row("b", 1)]
    assert close(account(), rows=doubled).complaints() == ["1 final rows too many"]
    strange = [Row("a", 1), Row("b", 1), Row("c", 1)]
    assert close(account(), rows=strange).complaints() == ["rows of tokens that nobody produced: ['c']"]


def test_a_repeated_call_is_explained_by_a_risk_on_its_partition_and_by_nothing_else() -> None:
    """A kill puts at risk what was called on the victim's partitions and not stored at that moment."""
    again = {"a": 2, "b": 1}
    unsaved = account()
    unsaved.put_at_risk({0}, CALLS)
    explained = close(unsaved, calls=again).complaints(paid_again_at_most=1)
    elsewhere = account()
    elsewhere.put_at_risk({1}, CALLS)
    unexplained = close(elsewhere, calls=again).complaints(paid_again_at_most=1)
    saved = account()
    saved.put_at_risk({0}, CALLS)
    too_late = close(saved, rows=[Row("a", time() - 1), Row("b", 1)], calls=again).complaints(paid_again_at_most=1)
    sentence = "1 calls were repeated that were not in flight and unsaved: a 1 too many"
    assert (explained, unexplained, too_late) == ([], [sentence], [sentence])


def test_a_stored_answer_that_is_paid_for_again_is_seen_by_its_time() -> None:
    """A call that begins after the row was written."""
    subject = account()
    subject.put_at_risk({0}, CALLS)
    statement = close(subject, calls={"a": 2, "b": 1})
    (sentence,) = statement.complaints()
    assert sentence == "1 stored answers were paid for again, 0 may be: a 1.00 s after it had succeeded"


def test_repeats_beyond_what_the_workers_count_are_said() -> None:
    """`tokens_repeated_calls_total` is an upper bound, or it is wrong."""
    subject = account()
    subject.put_at_risk({0, 1}, CALLS)
    (sentence,) = close(subject, calls={"a": 2, "b": 2}, counted=1).complaints(paid_again_at_most=2)
    assert sentence == "2 calls were repeated, but tokens_repeated_calls_total adds up to 1"


def test_a_token_may_be_called_as_often_as_it_was_tried_and_must_be() -> None:
    """Each attempt of the row is a call; one beyond it, and one that is missing, is said."""
    rows = [Row("a", time() + 3, attempt=3, outcome="dead_lettered"), Row("b", time() + 1)]
    right = close(account(), rows=rows, calls={"a": 3, "b": 1})
    assert right.complaints(uncalled_at_most=0) == []
    assert (right.result.repeated, right.result.retries, right.result.dead) == (0, 2, 1)
    more = close(account(), rows=rows, calls={"a": 5, "b": 1}).complaints(uncalled_at_most=0)
    assert more == ["2 calls were repeated that were not in flight and unsaved: a 2 too many"]
    fewer = close(account(), rows=rows, calls={"a": 2, "b": 1}).complaints(uncalled_at_most=0)
    assert fewer == ["1 attempts were spent without a call, at most 0 may be"]


def test_what_a_redrive_counts_anew_was_called_before_too() -> None:
    """The row's attempt starts again at each redrive."""
    subject = account()
    rows = [Row("a", time() + 3, attempt=1, redrive_count=1), Row("b", time() + 1)]
    statement = subject.close(rows, {"a": 4, "b": 1}, [], counted=None, before_redrive={"a": 3})
    assert statement.complaints(uncalled_at_most=0) == []


def test_a_kill_puts_only_the_attempt_at_risk_that_has_no_row() -> None:
    """A record that waits for its next try, with the last one stored, has nothing in flight."""
    rows = [Row("a", time() + 9, attempt=2), Row("b", time() + 9, attempt=2)]
    subject = account()
    subject.put_at_risk({0, 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1})
    sentence = "1 calls were repeated that were not in flight and unsaved: a 1 too many"
    assert close(subject, rows=rows, calls={"a": 3, "b": 3}).complaints(paid_again_at_most=2) == [sentence]
