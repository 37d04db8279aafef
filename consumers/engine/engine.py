"""The engine as a whole: its tasks, and what happens on assigned, revoked and stop.

Revoked and stop are one path, `_drain`: stop starting, give back what is ready but not called, let running calls finish,
flush, commit, close the windows; all of it inside the callback, within the drain limit. The broker waits for that callback
as long as the rebalance timeout, so the drain limit is below it by construction (consumers/settings.py): a drain that
outlasts it is not a few duplicates but a livelock (facts: engine, section 3).
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from aiokafka import ConsumerRebalanceListener
from aiokafka.structs import TopicPartition

from consumers import metrics
from consumers.engine.answers import Answers
from consumers.engine.broker_clock import BrokerClock
from consumers.engine.check import Check
from consumers.engine.committer import CommitResult, Committer
from consumers.engine.gates import ClosedGate, GateName, Gates
from consumers.engine.intake import Intake
from consumers.engine.lanes import Lanes
from consumers.engine.pulse import Pulse
from consumers.engine.pump import Pump
from consumers.engine.record import Record
from consumers.engine.release import Release
from consumers.engine.sink import Sink
from consumers.engine.state import EngineState
from consumers.engine.takeover import Takeover
from consumers.engine.tasks import TaskSet
from consumers.engine.watchdog import Watchdog
from consumers.ports import DeadLetterTopic, Provider, Source, Store

log = logging.getLogger(__name__)

STOP_TASKS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the engine. Units are in the names; `drain_seconds` covers the longest call and the flush after it."""

    slots: int
    drain_seconds: float
    commit_interval_seconds: float
    stuck_seconds: float
    pause_seconds: float
    max_retries: int
    dlq_flood_ratio: float


@dataclass(frozen=True, slots=True)
class Ports:
    """What the engine works between; see consumers/ports.py."""

    source: Source
    store: Store
    provider: Provider
    dead_letters: DeadLetterTopic


class Engine(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Holds the parts together. Built inside the running loop, before the consumer exists; `start` once it has joined."""

    def __init__(
        self,
        ports: Ports,
        *,
        intake: Intake,
        limits: Limits,
        answers: Answers | None = None,
        broker_clock: BrokerClock | None = None,
    ) -> None:
        self.state = EngineState(
            slots=limits.slots, answers=answers, pause_seconds=limits.pause_seconds, broker_clock=broker_clock
        )
        self.gates = Gates(flood_ratio=limits.dlq_flood_ratio)
        self.failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._drain_seconds = limits.drain_seconds
        self._one_drain = asyncio.Lock()
        self._tasks = TaskSet(on_failure=self.fail)
        self._pumping = TaskSet(on_failure=self.fail)
        self._stopped = False
        self._sink = Sink(
            self.state,
            ports.store,
            ports.dead_letters,
            recheck=self._recheck,
            on_room=self._start_ready,
            on_failure=self.fail,
        )
        self._lanes = Lanes(
            self.state,
            ports.provider,
            gates=self.gates,
            max_retries=limits.max_retries,
            put=self._sink.put,
            on_failure=self.fail,
        )
        self._check = Check(
            self.state, ports.store, put=self._sink.put, on_ready=self._lanes.start_ready, on_failure=self.fail
        )
        self._committer = Committer(self.state, ports.source, interval_seconds=limits.commit_interval_seconds)
        self._release = Release(self.state, check=self._check.submit)
        self._takeover = Takeover(self.state, ports.source, commit=self._committer.commit)
        self._taking_over = TaskSet(on_failure=self.fail)
        self._pump = Pump(self.state, ports.source, self._check, intake)
        self._pulse = Pulse(self.state, commit=partial(self._committer.commit, every=True), on_ready=self._lanes.start_ready)
        self._watchdog = Watchdog(self.state, ports.source, ports.store, stuck_seconds=limits.stuck_seconds)

    def start(self) -> None:
        """Start polling, writing and committing. The consumer has joined its group."""
        self._pumping.spawn(self._pump.run())
        self._pumping.spawn(self._watchdog.run())
        self._pumping.spawn(self._release.run())
        self._tasks.spawn(self._sink.run())
        self._tasks.spawn(self._committer.run())
        self._tasks.spawn(self._pulse.run())

    async def stop(self) -> None:
        """Drain and end every task. Legal in every state, idempotent, never raises: else no LeaveGroup would be sent."""
        if self._stopped:
            return
        self._stopped = True
        try:
            await self._pumping.cancel(timeout_seconds=STOP_TASKS_SECONDS)
            await self._drain()
            await self._check.stop(timeout_seconds=STOP_TASKS_SECONDS)
            await self._sink.stop(timeout_seconds=STOP_TASKS_SECONDS)
            await self._taking_over.cancel(timeout_seconds=STOP_TASKS_SECONDS)
            await self._tasks.cancel(timeout_seconds=STOP_TASKS_SECONDS)
        except Exception as error:  # lint: allow broad-except because the group must be left whatever happened here
            log.exception("the drain failed: what was in flight will be repeated")
            self.fail(error)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Open fresh windows, before anything can be polled; aiokafka's assigned callback is no barrier."""
        if self._stopped:
            return
        self.state.open_books(assigned)
        self._committer.forget()
        self._taking_over.cancel_all()
        self._taking_over.spawn(self._takeover.run())
        log.info("assigned %d partitions", len(assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Drain. aiokafka logs and swallows what a callback raises, so a failure is carried out by hand."""
        if not revoked:
            return
        metrics.REBALANCES.inc()
        try:
            await self._drain()
        except Exception as error:  # noqa: BLE001 # lint: allow broad-except because aiokafka would swallow it
            self.fail(error)

    def closed_gates(self) -> list[ClosedGate]:
        """List the gates that hold calls back, on the engine's clock."""
        return self.gates.closed(self.state.clock())

    def close_gate(self, name: GateName, why: str) -> None:
        """Hold calls back until `open_gate`; running ones go on. Idempotent."""
        if self.gates.close(name, why, now=self.state.clock()):
            log.warning("gate %s closed by hand: %s", name, why)
            self._lanes.gates_changed()

    def open_gate(self, name: GateName) -> None:
        """Let calls through again; what closed the gate may close it again. Idempotent."""
        log.warning("gate %s opened by hand", name)
        self.gates.open(name)
        self._lanes.gates_changed()

    def fail(self, error: BaseException) -> None:
        """End the process: an unexpected error in the engine; restart is the recovery path. The first one counts."""
        if not self.failure.done():
            self.failure.set_result(error)

    async def failed(self) -> None:
        """Return when the engine has failed; `failure` says why."""
        await asyncio.shield(self.failure)

    def counts(self) -> dict[str, int]:
        """Count the records in hand: calling, ready (and in check), persisting, unsettled (all); and the partitions."""
        admission = self.state.admission
        return {
            "calling": admission.calling,
            "ready": admission.waiting + admission.due_waiting,
            "held": admission.held,
            "persisting": len(self._sink),
            "unsettled": admission.unsettled,
            "partitions": len(self.state.windows),
        }

    def slot_seconds(self) -> dict[str, float]:
        """Slot-seconds since the start, by state; they add up to slots x time."""
        slot_time = self.state.slot_time
        slot_time.advance(self.state.clock())
        return {"calling": slot_time.calling_seconds, "gated": slot_time.gated_seconds, "idle": slot_time.idle_seconds}

    def window_records(self) -> dict[TopicPartition, int]:
        """Assigned partition -> unsettled records in its window."""
        return {partition: len(window) for partition, window in self.state.windows.items()}

    def oldest_unsettled_seconds(self) -> float | None:
        """How long ago the oldest unsettled record was polled; None where nothing is unsettled."""
        oldest = self.state.windows.oldest()
        return None if oldest is None else self.state.clock() - oldest

    def _start_ready(self) -> None:
        self._lanes.start_ready()

    def _recheck(self, batch: Sequence[Record]) -> None:
        self._check.submit(batch)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with self._one_drain:
            self.state.draining = True
            self._taking_over.cancel_all()
            self._check.give_back()
            self.state.give_back_ready()
            self._lanes.withdraw()
            calls = self.state.admission.calling
            await self._lanes.drain(timeout_seconds=self._drain_seconds)
            remaining = self._drain_seconds - (loop.time() - started)
            if not await self._sink.flush(timeout_seconds=max(remaining, 1.0)):
                log.error("%d answers are not saved yet: the database does not answer", len(self._sink))
            if await self._committer.commit(last=True) is CommitResult.FENCED:
                # Another member took over, perhaps long ago, and it may have called what was called here since.
                metrics.REPEATED_CALLS.inc(self.state.calls_made - self.state.calls_confirmed)
            self.state.close_books()
        log.info("drained: %d calls finished in %.1f s", calls, loop.time() - started)
