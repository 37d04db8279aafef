"""Waiting between tries."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.backoff import LIMIT_SECONDS, Backoff


def test_without_jitter_it_doubles_to_the_limit() -> None:
    """0.1 to 5 seconds."""
    backoff = Backoff(rng=lambda: 0.0)
    assert [round(backoff.next_seconds(), 3) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50))
def test_jitter_takes_off_at_most_half(draws: list[float]) -> None:
    """Whatever the randomness, a wait lies between half of the plain one and the whole of it; never zero."""
    plain, jittered = Backoff(rng=lambda: 0.0), Backoff(rng=iter(draws).__next__)
    for _ in draws:
        full = plain.next_seconds()
        assert 0 < full / 2 <= jittered.next_seconds() <= full <= LIMIT_SECONDS


def test_a_long_outage_keeps_the_longest_wait() -> None:
    """It never falls back by itself."""
    backoff = Backoff(rng=lambda: 0.5)
    waits = [backoff.next_seconds() for _ in range(3000)]
    assert all(first <= second for first, second in pairwise(waits))
