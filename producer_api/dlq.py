"""`/dlq`: browse the dead letters, send them again, drop them; the same core as `tokenflow dlq`."""

import base64
import binascii
from dataclasses import asdict
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from producer_api.dlq_documents import (
    DropDocument,
    ListParameters,
    PageDocument,
    RedriveDocument,
    StatsParameters,
)
from producer_api.problems import (
    DatabaseUnavailableError,
    NoDeadLetterError,
    NoOperationError,
    OperationConflictError,
    documented,
)
from producer_api.redrive.letters import exported, list_letters, read_letter, read_stats
from producer_api.redrive.operations import (
    Operation,
    Order,
    begin,
    dry_run,
    find,
    list_operations,
    new_holder,
    resume,
    stop,
)
from producer_api.services import Services, services_of

WHO = "api"

router = APIRouter(tags=["dead letters"], prefix="/dlq")
_AWAY = documented(DatabaseUnavailableError)


@router.get("", responses={200: {"model": PageDocument}, **_AWAY})
async def get_letters(request: Request, asked: ListParameters) -> Response:
    """List dead letters, newest first, without their bytes."""
    behind = None if asked.cursor is None else _behind(asked.cursor)
    state = None if asked.state == "all" else asked.state
    fetch = services_of(request).reader.fetch
    found = await list_letters(fetch, asked.to_filter(), state=state, limit=asked.limit + 1, behind=behind)
    page, more = found[: asked.limit], len(found) > asked.limit
    cursor = _cursor(f"{page[-1].dead_lettered_at.isoformat()} {page[-1].record_id}") if more else None
    return _json({"data": [asdict(each) for each in page], "has_more": more, "next_cursor": cursor})


@router.get("/stats", responses=_AWAY)
async def get_stats(request: Request, asked: StatsParameters) -> Response:
    """Count dead letters by state, and the open ones by error: how many, since when, growing or not, one of them."""
    stats = await read_stats(services_of(request).reader.fetch, asked.to_filter())
    return _json({"states": stats.states, "errors": [asdict(group) for group in stats.groups]})


@router.get("/operations", responses={200: {"model": PageDocument}, **_AWAY})
async def get_operations(request: Request, limit: int = 50, cursor: UUID | None = None) -> Response:
    """List what was redriven, dropped and replayed, newest first: who, when, which, how far."""
    limit = min(max(1, limit), 500)
    found = await list_operations(services_of(request).reader.fetch, behind=cursor, limit=limit + 1)
    page, more = found[:limit], len(found) > limit
    return _json({"data": [_shown(each) for each in page], "has_more": more, "next_cursor": page[-1].id if more else None})


@router.get("/operations/{operation_id}", responses=documented(NoOperationError, DatabaseUnavailableError))
async def get_operation(request: Request, operation_id: UUID) -> Response:
    """Tell how far an operation is."""
    return _json(_shown(await _found(services_of(request), operation_id)))


@router.post("/operations/{operation_id}/stop", responses=documented(NoOperationError, DatabaseUnavailableError))
async def post_stop(request: Request, operation_id: UUID) -> Response:
    """Stop an operation after the batch in hand, wherever it runs. Idempotent."""
    services = services_of(request)
    await _found(services, operation_id)
    await stop(services.reader.fetch, operation_id, who=WHO)
    return _json(_shown(await _found(services, operation_id)))


@router.post(
    "/operations/{operation_id}/resume",
    status_code=202,
    responses=documented(NoOperationError, OperationConflictError, DatabaseUnavailableError),
)
async def post_resume(request: Request, operation_id: UUID) -> Response:
    """Go on with an operation that was stopped, or whose process is gone."""
    services = services_of(request)
    operation = await resume(services.reader.fetch, operation_id, holder=new_holder())
    if operation is None:
        now = await _found(services, operation_id)
        raise OperationConflictError(f"It is {now.status}, and cannot be resumed: it is done, a replay, or another runs it.")
    return _started(services, operation)


@router.post("/redrive", status_code=202, responses=documented(OperationConflictError, DatabaseUnavailableError))
async def post_redrive(request: Request, wanted: RedriveDocument) -> Response:
    """Send dead letters again with their original bytes; 202 with the operation, which goes on in the background."""
    order = Order("redrive", wanted.filter.to_filter(), WHO, wanted.rate, wanted.max_redrives)
    return await _carry_out(services_of(request), order, dry=wanted.dry_run)


@router.post("/drop", status_code=202, responses=documented(OperationConflictError, DatabaseUnavailableError))
async def post_drop(request: Request, wanted: DropDocument) -> Response:
    """Delete dead letters, bytes and all; `expected` is how many. Their outcomes and the audit row stay."""
    if not wanted.dry_run and wanted.expected is None:
        _refuse("expected", "say how many there are, as a dry run tells: what is dropped is gone")
    order = Order("drop", wanted.filter.to_filter(), WHO)
    return await _carry_out(services_of(request), order, dry=wanted.dry_run, expected=wanted.expected)


@router.get("/{record_id}", responses=documented(NoDeadLetterError, DatabaseUnavailableError))
async def get_letter(request: Request, record_id: UUID) -> Response:
    """Show everything that was kept of one dead letter: bytes as base64, and as text where they are UTF-8."""
    found = await read_letter(services_of(request).reader.fetch, record_id)
    if found is None:
        raise NoDeadLetterError(f"There is no dead letter of record {record_id}: see GET /dlq.")
    return _json(exported(*found))


async def _carry_out(services: Services, order: Order, *, dry: bool, expected: int | None = None) -> Response:
    fetch = services.reader.fetch
    groups = await dry_run(fetch, order)
    selected = sum(group.selected for group in groups)
    if dry:
        return _json({"selected": selected, "errors": [asdict(group) for group in groups]})
    if expected is not None and expected != selected:
        raise OperationConflictError(f"{selected} match, not {expected}: nothing was dropped. Ask for a dry run again.")
    operation = await begin(fetch, order, groups=groups, holder=new_holder())
    return _started(services, operation)


def _started(services: Services, operation: Operation) -> Response:
    services.operations.start(operation)
    response = _json(_shown(operation), status=202)
    response.headers["location"] = f"/dlq/operations/{operation.id}"
    return response


async def _found(services: Services, operation_id: UUID) -> Operation:
    operation = await find(services.reader.fetch, operation_id)
    if operation is None:
        raise NoOperationError(f"There is no operation {operation_id}: see GET /dlq/operations.")
    return operation


def _shown(operation: Operation) -> dict[str, Any]:
    return {**asdict(operation), "filter": msgspec.Raw(operation.filter.encode())}


def _json(content: Any, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _behind(cursor: str) -> tuple[datetime, UUID]:
    try:
        moment, _, record_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        return datetime.fromisoformat(moment), UUID(record_id)
    except (ValueError, binascii.Error):
        _refuse("cursor", "it is no next_cursor of this list")


def _refuse(name: str, why: str) -> NoReturn:
    raise RequestValidationError([{"loc": (name,), "msg": why, "type": "value_error"}])
