from collections.abc import Mapping
from dataclasses import replace

from tests.support.account import Repeat, Row
from tests.support.feed import traceparent_of
from tests.support.hop_audit import Origins, attempts_before_redrive, due_errors, hop_complaints
from tests.support.hops import Hop

ORIGINS = Origins("tokens", {"a": (3, 7)})
HEADERS = {
    "record-id": "1",
    "attempt": "2",
    "first-failed-at": "then",
    "error-kind": "transient",
    "error-message": "HTTP 500",
    "source-topic": "tokens",
    "source-partition": "3",
    "source-offset": "7",
    "traceparent": traceparent_of("a"),
}
DEAD = Row("a", 20.0, 2, "dead_lettered", 0, "1", "transient", "HTTP 500")


def hop(topic: str, **changes: str) -> Hop:
    """Make a hop of token a, at second 10."""
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    return Hop(topic, 0, 0, 10_000, "a", headers, list(headers))


COPY, LETTER = hop("tokens.retry.3s"), hop("tokens.dlq")


def test_hops_that_say_what_the_row_says_have_no_complaint() -> None:
    """A copy, and a dead letter after it."""
    assert hop_complaints([COPY, LETTER], [DEAD], ORIGINS) == []


def test_a_dead_letter_that_is_missing_or_says_something_else_is_told() -> None:
    """By its attempt, its kind and its message; and a record in the DLQ that has no row."""
    (missing,) = hop_complaints([COPY], [DEAD], ORIGINS)
    assert missing.startswith("the dead letter of a is not in the DLQ as its row tells it")
    for change in ({"attempt": "3"}, {"error_kind": "rejected"}, {"error_message": "HTTP 502"}):
        assert len(hop_complaints([COPY, hop("tokens.dlq", **change)], [DEAD], ORIGINS)) == 1, change
    assert hop_complaints([LETTER], [], ORIGINS) == ["the DLQ has a record 1 that no row knows"]


def test_what_a_hop_lost_is_told() -> None:
    """Coordinates, trace, first failure; and a header that was appended instead of replaced."""
    lost: list[Mapping[str, str]] = [
        {"source_topic": "other"}, {"source_partition": "4"}, {"source_offset": "8"}, {"traceparent": "none"},
        {"first_failed_at": "later"},
    ]  # fmt: skip
    for change in lost:
        assert len(hop_complaints([COPY, hop("tokens.dlq", **change)], [DEAD], ORIGINS)) == 1, change
    twice = replace(LETTER, names=[*LETTER.names, "attempt"])
    assert len(hop_complaints([COPY, twice], [DEAD], ORIGINS)) == 1


def test_a_retry_that_comes_too_early_is_below_zero() -> None:
    """The copy was appended at 10 s with a delay of 3 s; a token that was called too often cannot be told."""
    assert due_errors([COPY], {"a": 2}, [Repeat("a", 12.5)], [DEAD]) == [-0.5]
    assert due_errors([COPY], {"a": 2}, [Repeat("a", 13.25)], [DEAD]) == [0.25]
    assert due_errors([COPY], {"a": 3}, [Repeat("a", 9.0), Repeat("a", 13.0)], [DEAD]) == []


def test_attempts_of_dead_letters_that_were_redriven_are_added_up() -> None:
    """Those of the last redrive are in the row."""
    first, second = hop("tokens.dlq", redrive_count="0", attempt="4"), hop("tokens.dlq", redrive_count="1", attempt="2")
    assert attempts_before_redrive([first, second], [replace(DEAD, redrive_count=2)]) == {"a": 6}
    assert attempts_before_redrive([first, second], [replace(DEAD, redrive_count=1)]) == {"a": 4}
    assert attempts_before_redrive([first], [DEAD]) == {}
