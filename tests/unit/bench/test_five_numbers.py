import pytest

from bench.five_numbers_table import Row, markdown
from bench.five_numbers_witnesses import Timeline


@pytest.fixture
def count() -> Timeline:
    """Ten a second from 100 s on, noted every five seconds."""
    return Timeline([100.0 + 5 * n for n in range(21)], [50.0 * n for n in range(21)])


def test_a_timeline_is_a_straight_line_between_what_was_noted(count: Timeline) -> None:
    """Before the first and after the last value nothing is made up."""
    assert [count.at(moment) for moment in (100, 102.5, 105, 99, 500)] == [0, 25, 50, 0, 1000]


def test_the_values_around_a_moment_are_those_that_were_noted(count: Timeline) -> None:
    """At the ends the same one twice."""
    assert [count.around(moment) for moment in (102.5, 99, 500)] == [(0, 50), (0, 0), (1000, 1000)]


def test_a_rise_is_that_of_the_minute_before(count: Timeline) -> None:
    """As a recording rule looks back."""
    assert count.rise(170) == 600
    assert count.mean(200) == pytest.approx(sum(50.0 * n for n in range(8, 20)) / 12)


def test_a_count_is_found_again(count: Timeline) -> None:
    """When it had a value for the first time."""
    assert [count.reached(value) for value in (0, 25, 1000, 5000)] == [100, 102.5, 200, 200]
    assert Timeline([1, 2, 3], [7, 7, 9]).reached(7) == 1


def test_a_row_tells_each_witness_against_prometheus() -> None:
    """Means, differences of the means, and the largest difference in a moment; who cannot know has no number."""
    row = Row("throughput", "tokens/s", 1, ((100.0, 300.0), (90.0, 310.0), None, (100.0, 302.0)))
    assert row.means == [200, 200, None, 201]
    assert row.differences == [0, None, pytest.approx(0.005)]
    assert row.largest == pytest.approx(0.05)
    last = markdown([row]).splitlines()[-1]
    assert last == "| throughput | tokens/s | 200.0 | 200.0 (+0.0%) | - | 201.0 (+0.5%) | 5.0% |"


def test_a_number_that_is_zero_has_no_difference() -> None:
    """Nothing is divided by it."""
    row = Row("error rate", "%", 2, ((0.0, 0.0), (0.0, 0.1), None, None))
    assert row.differences == [None, None, None]
    assert row.largest is None
