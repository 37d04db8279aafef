import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_api.scores import band, batch_body, score_body, score_of

tokens = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)


@given(tokens)
def test_a_score_is_a_score(token: str) -> None:
    """300-850, with the band that it lies in."""
    points = score_of(token).score
    assert 300 <= points <= 850
    assert json.loads(score_body(token)) == {"token": token, "score": points, "band": band(points)}


@given(st.lists(tokens, min_size=1, max_size=20))
def test_a_batch_has_the_scores_of_its_tokens(asked: list[str]) -> None:
    """Keyed by token, each the same object that it would be alone, a token that stands twice once."""
    assert json.loads(batch_body(asked, {})) == {token: json.loads(score_body(token)) for token in asked}


def test_one_value_of_a_batch_can_have_a_field_more() -> None:
    """The others are as they were, and one that is not in it changes nothing."""
    found = json.loads(batch_body(["a}", "b"], {"a}": b'"note":1', "c": b'"note":2'}))
    assert found == {"a}": json.loads(score_body("a}")) | {"note": 1}, "b": json.loads(score_body("b"))}


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
    assert [score_of(token).score for token in ("1234", "1235", "007")] == [462, 685, 619]
