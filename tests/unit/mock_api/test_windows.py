import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_api.windows import SlidingCount, SlidingLimit, retry_after

# Quarters of a second: exact in floating point, so that equality means what it says.
arrivals = st.lists(st.integers(0, 12), max_size=60).map(lambda gaps: [sum(gaps[: n + 1]) / 4 for n in range(len(gaps))])
windows = st.integers(1, 20).map(lambda quarters: quarters / 4)


@given(arrivals, st.integers(1, 5), windows)
def test_no_window_ever_holds_more_than_the_limit(times: list[float], calls: int, seconds: float) -> None:
    """And none is refused that would have fitted: the limit is exact in both directions."""
    limit, let_through = SlidingLimit(calls, seconds), list[float]()
    for now in times:
        wait = limit.wait_seconds(now)
        in_window = sum(now - seconds < each for each in let_through)
        assert (wait <= 0) == (in_window < calls)
        if wait <= 0:
            let_through.append(now)
    for begin in let_through:
        assert sum(begin <= each < begin + seconds for each in let_through) <= calls


@given(arrivals, st.integers(1, 5), windows)
def test_whoever_waits_as_told_is_let_through(times: list[float], calls: int, seconds: float) -> None:
    """Not a moment later than needed, either."""
    limit = SlidingLimit(calls, seconds)
    for now in times:
        wait = limit.wait_seconds(now)
        if wait > 0:
            assert limit.wait_seconds(now + wait / 2) > 0
            assert limit.wait_seconds(now + wait) == 0
            return


@given(arrivals, windows)
def test_the_witness_counts_every_window(times: list[float], seconds: float) -> None:
    """The largest number of requests in any window that ends with a request, which is the largest in any window."""
    witness = SlidingCount(seconds)
    for now in times:
        witness.note(now)
    brute = [sum(now - seconds < each <= now for each in times) for now in times]
    assert witness.largest == max(brute, default=0)
    assert witness.count(times[-1] if times else 0) == (brute[-1] if brute else 0)
    assert witness.count(1e9) == 0


def test_a_witness_that_is_reset_begins_anew() -> None:
    """What came before is in no window."""
    witness = SlidingCount(1)
    witness.note(0)
    witness.reset()
    assert (witness.largest, witness.count(0)) == (0, 0)


@pytest.mark.parametrize(("wait", "told"), [(0.001, 1), (1, 1), (1.001, 2), (59.2, 60)])
def test_retry_after_is_never_too_short(wait: float, told: int) -> None:
    """Whole seconds, rounded up."""
    assert retry_after(wait) == told
