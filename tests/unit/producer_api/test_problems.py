import msgspec
import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from producer_api import problems
from producer_api.problems import MEDIA_TYPE, Problem, problem_document, problem_response
from topics.record import MalformedValueError

LEAVES = Problem.__subclasses__()


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_refusal_is_a_complete_problem_document(leaf: type[Problem]) -> None:
    """Type, title, status and detail are there, and a 503 says when to come back."""
    document, headers = problem_document(leaf("why it happened", record_id="x"))
    assert document["type"] == f"urn:tokenflow:problem:{leaf.kind}"
    assert document["status"] == leaf.status
    assert document["title"]
    assert document["detail"] == "why it happened"
    assert document["record_id"] == "x"
    assert ("retry-after" in headers) == (leaf.status == 503)


def test_kinds_are_distinct() -> None:
    """Programs switch on the type."""
    assert len({leaf.kind for leaf in LEAVES}) == len(LEAVES)


def test_the_table_in_the_docstring_names_every_refusal() -> None:
    """The tree on the first screen is whole."""
    for leaf in LEAVES:
        assert f"{leaf.__name__:<24} {leaf.status}" in (problems.__doc__ or "")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedValueError("the token is empty"), 422),
        (RequestValidationError([{"loc": ("query", "wait_seconds"), "msg": "not a number", "type": "float"}]), 422),
        (HTTPException(404), 404),
        (HTTPException(405, headers={"allow": "GET"}), 405),
        (RuntimeError("secret inside"), 500),
    ],
)
async def test_any_error_becomes_a_problem_document(error: Exception, status: int) -> None:
    """One handler answers all, and an unexpected error shows nothing of itself."""
    response = await problem_response(None, error)  # type: ignore[arg-type]  # the request is not looked at
    assert response.status_code == status
    assert response.media_type == MEDIA_TYPE
    document = msgspec.json.decode(response.body)
    assert document["status"] == status
    assert document["title"]
    assert "secret" not in str(document)


def test_a_parameter_is_named_with_what_is_wrong() -> None:
    """The sentence says where and what."""
    error = RequestValidationError([{"loc": ("query", "wait_seconds"), "msg": "not a number", "type": "float"}])
    assert problem_document(error)[0]["detail"] == "query wait_seconds: not a number"


def test_a_refused_method_keeps_its_allow_header() -> None:
    """RFC 9110: 405 says what is allowed."""
    assert problem_document(HTTPException(405, headers={"allow": "GET"}))[1] == {"allow": "GET"}
