"""Everything that this API refuses or cannot do, and its problem document (RFC 9457). One function maps error -> problem.

    Problem
      NoOutcomeError           404  nothing is stored yet
      NoDeadLetterError        404  nothing is kept under this record id
      NoOperationError         404  no such redrive, drop or replay
      OperationConflictError   409  it cannot be resumed, or not so many dead letters match
      BodyTooSlowError         408  the body did not arrive in time
      BodyTooLargeError        413  refused while it streams in
      RecordTooLargeError      413  fits the body's limit, not the topic's
      KafkaUnavailableError    503  not connected: nothing was produced
      NotAcknowledgedError     503  produced, not acknowledged in time: may still arrive
      TooManyProducesError     503  too many unacknowledged records: nothing was produced
      DatabaseUnavailableError 503  outcomes cannot be read; POST still works
      TooManyWaitersError      503  too many GETs are waiting
    MalformedValueError        422  the token or the JSON around it
    RequestValidationError     422  a parameter
    HTTPException              as it says (404, 405)
    any other                  500  a bug: logged by the server with its traceback

`type` is a stable name that programs can switch on; `detail` is for people.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from topics.record import MalformedValueError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:tokenflow:problem:"


class Problem(Exception):  # noqa: N818 - RFC 9457's word; the leaves are the errors
    """A refusal with its HTTP status; `extra` becomes further members of the document."""

    status: ClassVar[int]
    kind: ClassVar[str]
    title: ClassVar[str]
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NoOutcomeError(Problem):
    """Nothing is stored for what was asked, or was not until the wait was over."""

    status, kind, title = 404, "no-outcome", "No outcome yet"


class NoDeadLetterError(Problem):
    """There is no dead letter under this record id."""

    status, kind, title = 404, "no-dead-letter", "No dead letter"


class NoOperationError(Problem):
    """There is no redrive, drop or replay under this id."""

    status, kind, title = 404, "no-operation", "No operation"


class OperationConflictError(Problem):
    """The operation cannot be resumed, or not so many dead letters match as were expected."""

    status, kind, title = 409, "operation-conflict", "The operation cannot be carried out"


class BodyTooSlowError(Problem):
    """The request's body did not arrive in time."""

    status, kind, title = 408, "body-too-slow", "The body did not arrive in time"


class BodyTooLargeError(Problem):
    """The request's body is over the limit."""

    status, kind, title = 413, "body-too-large", "The body is too large"


class RecordTooLargeError(Problem):
    """The record would be larger than its topic takes."""

    status, kind, title = 413, "record-too-large", "The record is too large"


class KafkaUnavailableError(Problem):
    """No producer is connected: nothing was produced."""

    status, kind, title = 503, "kafka-unavailable", "Kafka is not available"
    retry_after_seconds = 5


class NotAcknowledgedError(Problem):
    """The record was produced and not acknowledged in time: it may still arrive."""

    status, kind, title = 503, "not-acknowledged", "Kafka has not acknowledged the record"
    retry_after_seconds = 5


class TooManyProducesError(Problem):
    """The bound on unacknowledged records is reached: nothing was produced."""

    status, kind, title = 503, "too-many-unacknowledged", "Too many records wait for Kafka"
    retry_after_seconds = 1


class DatabaseUnavailableError(Problem):
    """The database cannot be read."""

    status, kind, title = 503, "database-unavailable", "Outcomes cannot be read"
    retry_after_seconds = 5


class TooManyWaitersError(Problem):
    """The bound on waiting GETs is reached."""

    status, kind, title = 503, "too-many-waiters", "Too many requests are waiting"
    retry_after_seconds = 1


def problem_document(error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Map any error to its problem document and headers. Pure and total."""
    headers: dict[str, str] = {}
    match error:
        case Problem():
            document = _document(error.status, error.kind, error.title, error.detail) | error.extra
            if error.retry_after_seconds is not None:
                headers["retry-after"] = str(error.retry_after_seconds)
            if error.status in {408, 413}:
                headers["connection"] = "close"  # what is left of the body is not read
        case MalformedValueError():
            document = _document(422, "malformed", "The token cannot be used", str(error))
        case RequestValidationError():
            document = _document(422, "invalid-request", "The request cannot be used", _sentence(error))
        case HTTPException():
            title = {404: "There is nothing at this path", 405: "This path has no such method"}.get(
                error.status_code, str(error.detail)
            )
            document = {"type": "about:blank", "title": title, "status": error.status_code, "detail": str(error.detail)}
            headers |= error.headers or {}
        case _:
            document = _document(500, "unexpected", "Something unexpected happened", "The server's log says what.")
    return document, headers


async def problem_response(_request: Request, error: Exception) -> Response:
    """Answer an error with its problem document; the one exception handler of this API."""
    document, headers = problem_document(error)
    return Response(msgspec.json.encode(document), document["status"], headers, MEDIA_TYPE)


def documented(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route for OpenAPI: status -> response."""
    responses: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        example = _document(problem.status, problem.kind, problem.title, (problem.__doc__ or "").strip())
        entry = responses.setdefault(
            problem.status, {"description": problem.title, "content": {MEDIA_TYPE: {"examples": {}}}}
        )
        entry["content"][MEDIA_TYPE]["examples"][problem.kind] = {"value": example}
        if problem.retry_after_seconds is not None:
            entry["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return responses


def _document(status: int, kind: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": TYPE_PREFIX + kind, "title": title, "status": status, "detail": detail}


def _sentence(error: RequestValidationError) -> str:
    """Turn FastAPI's list of errors into "query wait_seconds: ..." sentences."""
    return "; ".join(_one(detail) for detail in error.errors())


def _one(detail: Mapping[str, Any]) -> str:
    return f"{' '.join(str(part) for part in detail['loc'])}: {detail['msg']}"
