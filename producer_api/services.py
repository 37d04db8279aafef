"""What the handlers share: one of each for the process, made by the composition (app.py) and found on the application."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request

from producer_api.lag import QueueLag
from producer_api.metrics import Metrics
from producer_api.operation_runner import OperationRunner
from producer_api.outcomes import OutcomeReader
from producer_api.producer import TokenProducer
from producer_api.settings import ApiSettings
from producer_api.totals import OutcomeTotals
from producer_api.watcher import OutcomeWatcher


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running API; `pattern` is TOKEN_PATTERN, compiled."""

    settings: ApiSettings
    metrics: Metrics
    producer: TokenProducer
    reader: OutcomeReader
    watcher: OutcomeWatcher
    totals: OutcomeTotals
    queue: QueueLag
    operations: OperationRunner
    pattern: re.Pattern[str] | None
    started_at: datetime


def make_services(settings: ApiSettings) -> Services:
    """Make the parts; none of them connects yet."""
    metrics, reader = Metrics(), OutcomeReader(settings)
    watcher = OutcomeWatcher(
        reader.read,
        poll_seconds=settings.api_outcome_poll_seconds,
        max_waiters=settings.api_max_waiters,
        reads=metrics.reads,
    )
    metrics.waiters.set_function(lambda: watcher.waiting)
    pattern = re.compile(settings.token_pattern) if settings.token_pattern else None
    return Services(
        settings=settings,
        metrics=metrics,
        producer=TokenProducer(settings, metrics),
        reader=reader,
        watcher=watcher,
        totals=OutcomeTotals(settings),
        queue=QueueLag(settings),
        operations=OperationRunner(settings, metrics, reader.fetch),
        pattern=pattern,
        started_at=datetime.now(UTC),
    )


def services_of(request: Request) -> Services:
    """Find the parts on the application that the request came to.

    Called by the handlers themselves: as a FastAPI dependency it would cost every POST a tenth of its time.
    """
    services: Services = request.app.state.services
    return services
