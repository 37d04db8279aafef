import msgspec
import pytest
from pydantic import BaseModel

from producer_api.documents import ErrorDocument, OutcomeDocument, SourceDocument, outcome_response
from producer_api.outcomes import Outcome, OutcomeError, Source
from producer_api.problems import NoOutcomeError
from tests.support.outcomes import outcome


@pytest.mark.parametrize(
    ("sent", "documented"), [(Outcome, OutcomeDocument), (OutcomeError, ErrorDocument), (Source, SourceDocument)]
)
def test_what_is_sent_is_what_is_documented(sent: type[msgspec.Struct], documented: type[BaseModel]) -> None:
    """The wire's shape and OpenAPI's have the same fields in the same order."""
    assert list(sent.__struct_fields__) == list(documented.model_fields)


def test_the_example_is_an_outcome() -> None:
    """The example in /docs follows the documented shape."""
    OutcomeDocument.model_validate(OutcomeDocument.model_json_schema()["example"])


def test_a_result_passes_through_as_it_is_stored() -> None:
    """No digit and no order of keys changes on the way out."""
    body = outcome_response(outcome(), asked="token", path="/tokens/1234").body
    assert b'"result":{"b":1.10,"a":12345678901234567890123}' in bytes(body)
    OutcomeDocument.model_validate_json(bytes(body))


def test_an_outcome_with_an_error_shows_kind_and_message() -> None:
    """A dead letter says why."""
    dead = outcome(outcome="dead_lettered", result=None, error=OutcomeError("rejected", "404"))
    document = OutcomeDocument.model_validate_json(bytes(outcome_response(dead, asked="token", path="/tokens/1").body))
    assert document.error == ErrorDocument(kind="rejected", message="404")
    assert document.result is None


def test_no_outcome_says_how_to_wait() -> None:
    """The 404 carries the request that waits."""
    with pytest.raises(NoOutcomeError, match=r"GET /tokens/a%2Fb\?wait_seconds=15"):
        outcome_response(None, asked="token", path="/tokens/a%2Fb")
