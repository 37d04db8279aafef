"""The application: its parts, their order of start and stop, its routes and its one exception handler."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from producer_api import dlq, gates, health, pages, records, status, tokens
from producer_api.problems import Problem, problem_response
from producer_api.retention import Retention
from producer_api.services import Services, make_services
from producer_api.settings import ApiSettings
from producer_api.timing import RequestTiming
from topics.record import MalformedValueError

STOP_SECONDS: Final = 5.0
DESCRIPTION: Final = (
    "Tokens in, outcomes out. `POST /tokens` puts a token on Kafka; workers call the provider; `GET /tokens/{token}` and "
    "`GET /records/{record_id}` tell what became of it, `GET /status` the totals, `GET /gates` what holds calls back, "
    "`/dlq` what failed, to be sent again or dropped. Errors are problem documents (RFC 9457)."
)

log = logging.getLogger(__name__)


def create_app(settings: ApiSettings, *, give_up: Callable[[], None]) -> FastAPI:
    """Compose the application. `give_up` is called if one of its tasks fails: the process should end and be restarted."""
    services = make_services(settings)
    app = FastAPI(
        title="tokenflow",
        version=version("tokenflow"),
        description=DESCRIPTION,
        lifespan=_lifespan(settings, services, give_up),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # reads the environment for each request otherwise
    )
    app.state.services = services
    app.add_middleware(RequestTiming, requests=services.metrics.requests)
    rooms = (tokens, records, status, gates, dlq, health, pages)  # in the order of their rates: routes are tried in turn
    for room in rooms:
        app.include_router(room.router)
    pages.mount_assets(app)
    for kind in (Problem, MalformedValueError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, problem_response)
    return app


def _lifespan(settings: ApiSettings, services: Services, give_up: Callable[[], None]) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await services.reader.start()
        tasks = [
            _owned(services.producer.run(), "keep the producer connected", give_up),
            _owned(services.watcher.run(), "watch for outcomes", give_up),
            _owned(services.operations.run(), "go on with operations that were left", give_up),
            _owned(Retention(settings, services.metrics.pruned).run(), "delete what is too old", give_up),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
            await services.operations.stop()
            await services.totals.stop()
            await services.queue.stop()
            await services.producer.stop()
            await services.reader.stop()

    return lifespan


def _owned(work: Coroutine[Any, Any, None], name: str, give_up: Callable[[], None]) -> asyncio.Task[None]:
    """Start a task that lives as long as the application; if it fails, so does the process."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("the task %r failed: the process ends", name, exc_info=error)
            give_up()

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    return task
