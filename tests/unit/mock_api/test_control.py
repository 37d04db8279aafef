import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_api.control import Request, TargetError, answer, token_of
from mock_api.profile import Profile
from mock_api.state import Mock

tokens = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)


@given(tokens)
def test_a_percent_encoded_token_is_read_back(token: str) -> None:
    """Whatever the characters, slashes and percent signs included."""
    assert token_of(f"/score/{quote(token, safe='')}") == token


@pytest.mark.parametrize("path", ["/score", "/score/", "/score/a/b", "/scores/1", "/", "", "*", "score/1", "/SCORE/1"])
def test_other_paths_name_no_token(path: str) -> None:
    """A raw slash makes another path."""
    assert token_of(path) is None


@pytest.mark.parametrize(
    ("path", "token"), [("/score/50%", "50%"), ("/score/%zz", "%zz"), ("/score/a+b", "a+b"), ("/score/%2F", "/")]
)
def test_a_percent_sign_without_two_digits_is_itself(path: str, token: str) -> None:
    """What is no escape is left as written, and a plus is a plus in a path."""
    assert token_of(path) == token


def test_bytes_that_are_no_text_name_no_token() -> None:
    """They are refused and not replaced: two broken tokens must not become one."""
    with pytest.raises(TargetError):
        token_of("/score/%ff")


@given(st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"]), st.text(), st.text(), st.binary())
def test_every_request_has_an_answer(method: str, path: str, query: str, body: bytes) -> None:
    """Total: no target, query or body makes it raise, and the answer can be written down."""
    for target in (path, "/stats", "/profile", "/reset", "/down", "/up", "/scores", "/score/" + path):
        given_answer = answer(Mock(Profile()), Request(method, target, query, body))
        assert given_answer.status in {200, 400, 404, 405, 422}
        assert given_answer.body().endswith(b"\n")


def test_a_mock_begins_with_no_connection() -> None:
    """Two mocks share nothing."""
    first, second = Mock(Profile()), Mock(Profile())
    first.connections.add(asyncio.Transport())
    first.ledger.begin("a")
    assert (len(second.connections), second.ledger.calls) == (0, 0)
