from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts._load_figures import (
    RecentRate,
    Stored,
    Tally,
    distinct_numbers,
    duration,
    percentile,
    remaining_seconds,
    since,
    stored_lines,
    summary,
    token_number,
)


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_that_enough_others_do_not_exceed(values: list[float], percent: int) -> None:
    """Nearest rank: it is one of the values, and no smaller one would do."""
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert found in ordered
    assert sum(value <= found for value in ordered) * 100 >= percent * len(ordered)
    assert sum(value < found for value in ordered) * 100 < percent * len(ordered)


def test_percentiles_of_a_hundred_values() -> None:
    """The textbook's case."""
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (50, 95, 99, 100)] == [50, 95, 99, 100]


def test_a_rate_is_that_of_the_last_seconds() -> None:
    """A slow beginning is forgotten; one moment alone has no rate."""
    rate = RecentRate()
    assert rate.see(100.0, 50) == 0
    assert rate.see(101.0, 60) == 10
    found = [rate.see(100.0 + second, 60 + 100 * (second - 1)) for second in range(2, 30)]
    assert found[-1] == 100
    assert rate.see(129.0, 2860) == pytest.approx(100)


def test_what_remains_is_unknown_while_nothing_moves() -> None:
    """No ETA rather than a wrong one; none is needed at the end."""
    assert remaining_seconds(100, 20) == 5
    assert remaining_seconds(100, 0) is None
    assert remaining_seconds(0, 0) == 0


def test_durations_are_read_by_people() -> None:
    """Seconds, minutes, hours."""
    found = [duration(seconds) for seconds in (None, 0, 99.4, 100, 3569, 3571, 7500)]
    assert found == ["unknown", "0 s", "99 s", "2 min", "59 min", "1 h 00 min", "2 h 05 min"]


@given(st.integers(1, 500), st.floats(0, 0.99))
def test_duplicates_repeat_earlier_tokens_and_leave_none_out(requests: int, ratio: float) -> None:
    """The different tokens are numbered without a gap, and are as many as the ratio leaves."""
    numbers = [token_number(request, ratio) for request in range(requests)]
    assert sorted(set(numbers)) == list(range(distinct_numbers(requests, ratio)))
    assert abs(len(set(numbers)) - requests * (1 - ratio)) <= 1


def test_without_duplicates_every_token_is_different() -> None:
    """Also far out, where a float might round."""
    assert [token_number(request, 0.0) for request in (0, 1, 99_999_999)] == [0, 1, 99_999_999]


def test_late_records_are_not_taken_for_accepted_ones() -> None:
    """Ten final outcomes, three of records whose POST got a 503: seven accepted tokens are settled."""
    assert Stored({"succeeded": 8, "dead_lettered": 2, "retrying": 5}, 1.0, late=3).settled == 7


def test_what_was_stored_before_is_not_of_this_run() -> None:
    """Differences by outcome."""
    assert since({"succeeded": 5, "retrying": 2}, {"succeeded": 9, "retrying": 1, "cancelled": 0}) == {
        "succeeded": 4,
        "retrying": -1,
    }


def test_a_summary_tells_every_number() -> None:
    """Rate, latencies, waits apart from errors, what was not sent, and when the script itself binds."""
    tally = Tally(waits=Counter({"503 kafka-unavailable": 3}), errors=Counter({"422 malformed": 2}), uncertain=["id"])
    for seconds in (0.001, 0.002, 0.25):
        tally.accept(seconds)
    assert summary(tally, requests=10, seconds=1.5, cpu_seconds=1.4) == [
        "accepted   3 of 10 in 1.5 s: 2 requests/s",
        "latency    p50 2.0 ms  p95 250 ms  p99 250 ms  max 250 ms",
        "waited     3 times told to wait: 503 kafka-unavailable",
        "           of these, 1 were unacknowledged: they may be delivered as well",
        "error      2 tokens: 422 malformed",
        "unsent     5 tokens",
        "client     93% of one core: this script is what binds, not the API; run several at once",
    ]
    assert summary(Tally(), requests=1, seconds=0.0, cpu_seconds=0.0)[1:] == [
        "errors     none",
        "unsent     1 tokens",
        "client     0% of one core",
    ]


def test_stored_lines_say_whether_it_was_the_last() -> None:
    """End to end: from the first request to the last outcome."""
    tally = Tally(accepted=4)
    lines = stored_lines(Stored({"succeeded": 4, "dead_lettered": 1}, 2.0, late=1), tally)
    assert lines[:2] == ["stored     4 of 4, the last after 2.0 s: 2 tokens/s", "outcomes   dead_lettered 1, succeeded 4"]
    assert "1 of them are of records that arrived although" in lines[2]
    assert stored_lines(Stored({"succeeded": 3}, 2.0), tally)[0] == "stored     3 of 4 so far, after 2.0 s: 2 tokens/s"
