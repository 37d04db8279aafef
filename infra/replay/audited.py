"""A replay with its audit row in `operations`, kept up to date while it runs."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from consumers.store.postgres import SELECT_CONSUMER_GROUP, SELECT_SET_ASIDE
from infra.errors import ExpectedError
from infra.replay.asked import Asked
from infra.replay.log import Log
from infra.replay.run import Counts, Replay, StoppedError
from producer_api.gate_orders import Fetch, storable
from producer_api.redrive.operations import Operation, new_holder, operation_of
from producer_api.redrive.sender import CopySender
from producer_api.redrive.statements import sql
from topics.connection import KafkaConnectionError
from topics.provision import list_retry_topics
from topics.settings import KafkaSettings

COUNTED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a replay ended. `run_id`: what a forced one goes on with; None of a dry run. `sayings`: what else must be said."""

    counts: Counts
    run_id: UUID | None
    stopped: bool
    sayings: Sequence[str]


@dataclass(slots=True)
class _Audit:
    """The audit row of one run."""

    fetch: Fetch
    operation_id: UUID
    holder: str
    show: Callable[[Counts], None]
    stopping: asyncio.Event
    counted: int = 0
    refused: int = 0
    next_at: float = 0.0

    async def note(self, counts: Counts, *, now: bool = False) -> None:
        """Show the progress, and write it down once a second; learn then whether somebody stopped the operation."""
        self.show(counts)
        if not now and time.monotonic() < self.next_at:
            return
        self.next_at = time.monotonic() + COUNTED_SECONDS
        more, refused = counts.produced - self.counted, counts.refused - self.refused
        if not await self.fetch(sql("add_counts"), self.operation_id, self.holder, more, refused):
            self.stopping.set()
        self.counted, self.refused = counts.produced, counts.refused

    async def end(self, counts: Counts, status: str, note: str = "") -> None:
        """Close the row."""
        await self.note(counts, now=True)
        await self.fetch(sql("end_operation"), self.operation_id, self.holder, status, storable(note)[:500])


async def replay(
    settings: KafkaSettings,
    fetch: Fetch,
    asked: Asked,
    *,
    who: str,
    run_id: UUID | None,
    dry: bool,
    stopping: asyncio.Event,
    show: Callable[[Counts], None],
    announce: Callable[[UUID], None],
) -> Ended:
    """Replay what is asked for, with an audit row; a dry run reads only.

    `announce` is told the run of a forced one before its first record: what it goes on with, however it ends.

    Raises:
        ExpectedError: it did not come to its end; running it again is safe.
        KafkaConnectionError: no broker answers.

    """
    await _see_that_it_is_ours(fetch, settings)
    async with Log(settings) as log:
        ranges, sayings = await log.below_committed(asked)
        sayings += await _leave_out_what_was_set_aside(fetch, log, settings)
        audit = None
        if not dry:
            operation = await _begin(fetch, asked, who=who, records=sum(behind - first for first, behind in ranges.values()))
            audit = _Audit(fetch, operation.id, operation.holder, show, stopping)
        if asked.force and audit is not None:
            announce(run_id or audit.operation_id)
        sender = CopySender(settings)

        async def shown(counts: Counts) -> None:
            show(counts)

        run = Replay(
            fetch,
            log,
            sender,
            asked,
            operation=None if audit is None else audit.operation_id,
            run_id=run_id,
            on_progress=shown if audit is None else audit.note,
            stopping=stopping,
        )
        stopped = False
        try:
            await run.run(ranges)
        except StoppedError:
            stopped = True
        except (ExpectedError, KafkaConnectionError) as error:
            if audit is not None:
                with contextlib.suppress(ExpectedError):  # the database may be what is away
                    await audit.end(run.counts, "failed", str(error))
            raise
        finally:
            await sender.stop()
        if audit is not None:
            await audit.end(run.counts, "stopped" if stopped else "done")
    return Ended(run.counts, run_id or (None if audit is None else audit.operation_id), stopped, sayings)


async def _begin(fetch: Fetch, asked: Asked, *, who: str, records: int) -> Operation:
    """Write the audit row; `selected` is what lies in the range, before any filter."""
    rows = await fetch(
        sql("insert_operation"), "replay", asked.to_json(), storable(who), asked.rate, None, records, 0, new_holder()
    )
    return operation_of(rows[0])


async def _leave_out_what_was_set_aside(fetch: Fetch, log: Log, settings: KafkaSettings) -> list[str]:
    """Let nobody look at records that an operator set aside by their place, nor send them again; say how many."""
    topics = [settings.tokens_topic, *await list_retry_topics(settings)]
    places = [(row[0], row[1], row[2]) for row in await fetch(SELECT_SET_ASIDE, topics)]
    log.leave_out(places)
    many = f"{len(places):,} records that were set aside are left alone: `tokenflow dlq redrive --kind set_aside` sends them"
    return [many] if places else []


async def _see_that_it_is_ours(fetch: Fetch, settings: KafkaSettings) -> None:
    """Refuse a database that serves another group: what its rows say is about other offsets."""
    rows = await fetch(SELECT_CONSUMER_GROUP)
    owner = rows[0][0] if rows else None
    if owner not in {None, settings.kafka_group_id}:
        raise ExpectedError(
            f"DATABASE_URL serves the consumer group {owner}, not {settings.kafka_group_id}: correct one of the two."
        )
