import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_api.latency import Exponential, Fixed, Lognormal
from mock_api.plan import Planner
from mock_api.profile import Profile

draws = st.integers(0, 2**32 - 1).map(lambda step: (step + 0.5) / 2**32)


def _delays(**fields: object) -> list[float]:
    """10,000 latencies of a profile, in order of size."""
    planner = Planner(Profile().changed(json.dumps(fields).encode()))
    return sorted(planner.plan(str(number), 1).delay_seconds for number in range(10_000))


def test_latencies_spread_evenly_between_the_bounds() -> None:
    """The mean of 10,000 latencies of 4-10 s is 7 s, and each second has its sixth of them."""
    delays = _delays()
    assert sum(delays) / len(delays) == pytest.approx(7, abs=0.1)
    for second in range(4, 10):
        assert sum(second <= delay < second + 1 for delay in delays) == pytest.approx(10_000 / 6, rel=0.15)


def test_a_fixed_latency_is_always_the_same() -> None:
    """The bounds of the even spread play no part."""
    assert set(_delays(latency={"distribution": "fixed", "seconds": 0.25})) == {0.25}


def test_an_exponential_latency_has_its_mean_and_its_cap() -> None:
    """63 % are below the mean, and 1 in 20 would be above three times the mean."""
    delays = _delays(latency={"distribution": "exponential", "mean_seconds": 2, "max_seconds": 6})
    assert sum(delay < 2 for delay in delays) == pytest.approx(6321, abs=250)
    assert sum(delay == 6 for delay in delays) == pytest.approx(498, abs=120)
    assert max(delays) == 6


def test_a_lognormal_latency_has_its_median_and_its_p99() -> None:
    """To a few percent, over 10,000 calls."""
    delays = _delays(latency={"distribution": "lognormal", "median_seconds": 1, "p99_seconds": 5, "max_seconds": 30})
    assert delays[5000] == pytest.approx(1, rel=0.05)
    assert delays[9900] == pytest.approx(5, rel=0.15)


def test_a_tail_is_added_to_any_distribution() -> None:
    """One call in a hundred takes the tail's time."""
    delays = _delays(latency={"distribution": "fixed", "seconds": 1}, tail_ratio=0.01, tail_seconds=20)
    assert set(delays) == {1, 20}
    assert delays.count(20) == pytest.approx(100, abs=50)


@given(draws, draws, st.sampled_from([Fixed(2), Exponential(2, 9), Lognormal(2, 5, 9), Lognormal(2, 2, 9)]))
def test_a_latency_grows_with_its_draw_and_stays_below_its_cap(
    one: float, other: float, latency: Fixed | Exponential | Lognormal
) -> None:
    """At the very ends of the draws too, where a logarithm would have no value."""
    sampler = latency.sampler()
    low, high = sorted((one, other))
    assert 0 <= sampler(low) <= sampler(high) <= 9


def test_the_ends_of_the_draws_have_latencies() -> None:
    """The smallest and the largest draw that a hash can give."""
    for latency in (Exponential(2, 9), Lognormal(2, 5, 9)):
        assert 0 < latency.sampler()(0.5 / 2**32) < latency.sampler()((2**32 - 0.5) / 2**32) == 9
