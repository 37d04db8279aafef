import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_api.profile import Profile, ProfileError, band, changed_profile, plan, profile_of, score
from mock_api.settings import MockApiSettings

tokens = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
bounds = st.tuples(st.floats(0, 60), st.floats(0, 60)).map(sorted)


@given(tokens, st.integers(1, 10), bounds, st.floats(0, 1), st.integers(0, 2**63 - 1))
def test_a_plan_is_a_function_of_profile_token_and_number(
    token: str, number: int, limits: list[float], ratio: float, seed: int
) -> None:
    """The same call is planned the same way, inside the profile's bounds."""
    profile = Profile(latency_min_seconds=limits[0], latency_max_seconds=limits[1], error_ratio=ratio, seed=seed)
    decided = plan(profile, token, number)
    assert decided == plan(profile, token, number)
    assert limits[0] <= decided.delay_seconds <= limits[1] + 1e-9
    assert decided.status in {200, 500}


@given(tokens, st.integers(1, 10))
def test_the_ends_of_the_error_ratio_are_exact(token: str, number: int) -> None:
    """0 never fails and 1 always does."""
    assert plan(Profile(error_ratio=0.0), token, number).status == 200
    assert plan(Profile(error_ratio=1.0), token, number).status == 500


def test_latencies_spread_evenly_between_the_bounds() -> None:
    """The mean of 10,000 latencies of 4-10 s is 7 s, and each second has its sixth of them."""
    delays = [plan(Profile(), str(number), 1).delay_seconds for number in range(10_000)]
    assert sum(delays) / len(delays) == pytest.approx(7, abs=0.1)
    for second in range(4, 10):
        assert sum(second <= delay < second + 1 for delay in delays) == pytest.approx(10_000 / 6, rel=0.15)


@given(tokens)
def test_a_score_is_a_score(token: str) -> None:
    """300-850, with the band that it lies in."""
    points = score(token)
    assert 300 <= points <= 850
    assert points == score(token)
    assert band(points) in {"poor", "fair", "good", "very good", "exceptional"}


@pytest.mark.parametrize(
    ("points", "name"),
    [
        (300, "poor"),
        (579, "poor"),
        (580, "fair"),
        (670, "good"),
        (740, "very good"),
        (800, "exceptional"),
        (850, "exceptional"),
    ],
)
def test_bands_begin_where_they_say(points: int, name: str) -> None:
    """The lower end belongs to the band."""
    assert band(points) == name


def test_the_score_of_a_token_never_changes() -> None:
    """People note scores down: a change of the formula would make two runs disagree."""
    assert [score(token) for token in ("1234", "1235", "007")] == [462, 685, 619]


def test_the_profile_at_the_start_is_that_of_the_settings() -> None:
    """Every field of the profile has its setting."""
    settings = MockApiSettings(
        _env_file=None,
        mock_api_latency_min_seconds=1,
        mock_api_latency_max_seconds=2,
        mock_api_error_ratio=0.5,
        mock_api_seed=9,
    )
    assert profile_of(settings) == Profile(1, 2, 0.5, 9)


def test_a_refused_change_says_which_field_is_wrong() -> None:
    """The sentence names the field, so that the sender can mend it."""
    with pytest.raises(ProfileError, match=re.escape("$.error_ratio")):
        changed_profile(Profile(), b'{"error_ratio": -1}')
    with pytest.raises(ProfileError, match="latency_min_seconds is above latency_max_seconds"):
        changed_profile(Profile(), b'{"latency_min_seconds": 11}')
