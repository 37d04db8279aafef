import json
import re

import pytest

from mock_api.profile import KINDS, Behaviour, Profile, ProfileError, RateLimit, Rule, profile_of
from mock_api.settings import MockApiSettings

FULL = {
    "latency": {"distribution": "lognormal", "median_seconds": 1, "p99_seconds": 2},
    "statuses": {"429": 0.1, "503": 0.1},
    "retry_after_seconds": None,
    "misbehaviours": dict.fromkeys(KINDS, 0.01),
    "fail_first_with": "cut_half",
    "rate_limit": {"calls": 5},
    "rules": [{"pattern": "x.*", "behaviour": {"statuses": {"404": 0.5}, "latency": None}}],
}


def test_a_profile_as_shown_is_the_profile() -> None:
    """What GET shows can be PUT again, with every field."""
    profile = Profile().changed(json.dumps(FULL).encode())
    assert Profile().changed(json.dumps(profile.fields()).encode()) == profile
    assert set(profile.fields()) == set(Profile.__struct_fields__)
    assert (profile.rate_limit, profile.statuses) == (RateLimit(5), {429: 0.1, 503: 0.1})


def test_fields_left_out_keep_their_value() -> None:
    """A mapping is replaced as a whole."""
    profile = Profile().changed(json.dumps(FULL).encode()).changed(b'{"statuses": {"500": 1}, "misbehaviours": {}}')
    assert (profile.statuses, profile.fail_first_with) == ({500: 1.0}, "cut_half")


def test_a_rule_changes_what_it_names_and_nothing_else() -> None:
    """The rest is the profile's, also after the profile has changed."""
    rule = Rule({"error_ratio": 1}, tokens=("x",))
    profile = Profile(tail_seconds=3, seed=5, rules=(rule,))
    assert profile.behaviour_under(rule) == Behaviour(tail_seconds=3, error_ratio=1)
    assert profile.changed(b'{"tail_seconds": 4}').behaviour_under(rule) == Behaviour(tail_seconds=4, error_ratio=1)


def test_the_profile_at_the_start_is_that_of_the_settings() -> None:
    """The JSON of MOCK_API_PROFILE lies over the other settings."""
    settings = MockApiSettings(
        _env_file=None,
        mock_api_latency_min_seconds=1,
        mock_api_latency_max_seconds=2,
        mock_api_error_ratio=0.5,
        mock_api_seed=9,
        mock_api_profile='{"error_ratio": 0.25, "left_out_ratio": 0.125}',
    )
    assert profile_of(settings) == Profile(
        latency_min_seconds=1, latency_max_seconds=2, error_ratio=0.25, seed=9, left_out_ratio=0.125
    )


def test_a_profile_in_the_settings_that_cannot_be_names_its_setting() -> None:
    """The sentence says where to mend it."""
    with pytest.raises(ProfileError, match=r"^MOCK_API_PROFILE: .*error_ratoi"):
        profile_of(MockApiSettings(_env_file=None, mock_api_profile='{"error_ratoi": 1}'))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"error_ratio": -1}, "$.error_ratio"),
        ({"latency_min_seconds": 11}, "latency_min_seconds is above latency_max_seconds"),
        ({"latency": {"distribution": "normal"}}, "Invalid value 'normal'"),
        ({"latency": {"distribution": "lognormal", "median_seconds": 2, "p99_seconds": 1}}, "p99_seconds is below"),
        ({"latency": {"distribution": "fixed"}}, "missing required field `seconds`"),
        ({"statuses": {"200": 0.5}}, "Expected `int` >= 300"),
        ({"statuses": {"many": 0.5}}, "Expected `int`"),
        ({"statuses": {"429": 0.6}, "error_ratio": 0.6}, "add up to 1.2, which is more than 1"),
        ({"misbehaviours": {"nul": 0.6, "hang": 0.6}}, "add up to 1.2, which is more than 1"),
        ({"misbehaviours": {"explode": 1}}, "Invalid enum value 'explode'"),
        ({"fail_first_with": "explode"}, "Invalid enum value 'explode'"),
        ({"fail_first_with": 200}, "Expected `int` >= 300"),
        ({"hang_seconds": 1e9}, "$.hang_seconds"),
        ({"rate_limit": {"calls": 0}}, "$.rate_limit.calls"),
        ({"rules": [{"behaviour": {}}]}, "a rule needs tokens or a pattern"),
        ({"rules": [{"pattern": "(", "behaviour": {}}]}, "no regular expression"),
        ({"rules": [{"tokens": ["a"], "behaviour": {"seed": 1}}]}, "unknown field `seed`"),
        ({"rules": [{"tokens": ["a"], "behaviour": {"error_ratio": 2}}]}, "error_ratio"),
        ({"rules": [{"tokens": ["a"], "behaviour": {"misbehaviours": {"nul": 1}}}], "error_ratio": 0.5}, "add up to 1.5"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_a_refused_change_is_one_sentence_that_names_what_is_wrong(change: dict[str, object], sentence: str) -> None:
    """So that the sender can mend it."""
    with pytest.raises(ProfileError, match=re.escape(sentence)) as refused:
        Profile().changed(json.dumps(change).encode())
    assert "\n" not in str(refused.value)
