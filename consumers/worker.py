"""One worker process: wiring, and the order of start and stop.

Start: health server, topics verified (a missing topic makes the join hang for ever), database claimed, then the join with a
deadline. Stop: drain, leave the group, close. The broker object is driven directly, not through a FastStream application,
whose start has no deadline and whose stop is skipped when a hook raises (docs/decisions/0001).
"""

import asyncio
import logging
import os
import re
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from consumers import metrics
from consumers.dead_letters import DeadLetterProducer
from consumers.engine.answers import Answers
from consumers.engine.broker_clock import BrokerClock
from consumers.engine.engine import Engine, Limits, Ports
from consumers.engine.intake import make_intake
from consumers.engine.sink import FLUSHERS
from consumers.gate_board import GateBoard, describe_gates
from consumers.health import HealthServer
from consumers.loop_guard import LoopGuard
from consumers.ports import Provider
from consumers.providers.batch import BatchProvider
from consumers.providers.http import HttpProvider
from consumers.providers.wire import WireProvider
from consumers.refusals import why_refused
from consumers.set_aside import SetAside
from consumers.settings import WorkerSettings
from consumers.source import SubscriberSource
from consumers.static_id import StaticIdGuard
from consumers.store.gates import PostgresGates
from consumers.store.postgres import PostgresStore
from topics.catalogue import HOP_BYTES, MAX_MESSAGE_BYTES
from topics.connection import KafkaConnectionError, kafka_broker, kafka_producer
from topics.provision import list_retry_topics, verify_topics

log = logging.getLogger(__name__)

LEAVE_SECONDS = 10.0
CHECKERS = 2
"""Database connections beside those that write: done-set checks at a time."""
EXIT_NOW = 130


def make_provider(settings: WorkerSettings, answers: Answers) -> AbstractAsyncContextManager[Provider]:
    """Choose how the API is called: by batches where it has an endpoint for them, else by the client of the settings."""
    timeout = settings.provider_timeout_seconds
    if settings.provider_batch_url is None:
        single = WireProvider if settings.provider_client == "wire" else HttpProvider
        return single(settings.provider_url, timeout_seconds=timeout, answers=answers)
    return BatchProvider(
        settings.provider_batch_url,
        size=settings.queue_batch_size,
        calls=settings.worker_concurrency,
        timeout_seconds=timeout,
        answers=answers,
    )


MakeProvider = Callable[[WorkerSettings, Answers], AbstractAsyncContextManager[Provider]]


class StartError(Exception):
    """The worker cannot start; the text says what to change."""


class Worker:
    """A member of the consumer group, from start to stop. Built inside the running loop."""

    def __init__(self, settings: WorkerSettings, *, make_provider: MakeProvider = make_provider) -> None:
        self._settings = settings
        self._make_provider = make_provider
        self._engine: Engine | None = None
        self._stopping = asyncio.Event()
        self._joined = False
        self._answers = Answers()
        self._broker_clock = BrokerClock()

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT, or until the engine fails; return the exit code.

        Raises:
            StartError, ListenError, KafkaConnectionError, ProvisionError, StoreUnavailableError, WrongGroupError: it could
                not start.

        """
        self._catch_signals()
        settings = self._settings
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(LoopGuard(stuck_seconds=settings.stuck_seconds))
            await stack.enter_async_context(
                HealthServer(
                    address=settings.bind_address,
                    port=settings.health_port,
                    ready=self._why_not_ready,
                    gates=self._closed_gates,
                    status=self._status,
                )
            )
            retry_topics = await self._verify_topics()
            store = await PostgresStore.connect(settings.database_url.get_secret_value(), connections=FLUSHERS + CHECKERS)
            stack.push_async_callback(store.close)
            await store.claim_group(settings.kafka_group_id)
            provider = await stack.enter_async_context(self._make_provider(settings, self._answers))
            dead_letters = DeadLetterProducer(
                settings.dlq_topic, self._make_producer, retry_topic=settings.retry_topic, clock=self._broker_clock
            )
            stack.push_async_callback(dead_letters.stop)
            await self._connect(dead_letters)
            broker, self._engine = self._wire(store, provider, dead_letters, retry_topics=retry_topics)
            board = await self._hang_up_board(stack, self._engine)
            return await self._live(broker, self._engine, board)

    def _wire(
        self, store: PostgresStore, provider: Provider, dead_letters: DeadLetterProducer, *, retry_topics: Sequence[str]
    ) -> tuple[KafkaBroker, Engine]:
        settings = self._settings
        broker = kafka_broker(
            settings,
            client_id=f"tokenflow-worker-{settings.worker_index}",
            max_record_bytes=MAX_MESSAGE_BYTES + HOP_BYTES,
        )
        pattern = re.compile(settings.token_pattern) if settings.token_pattern else None
        aside = SetAside(store, make_intake(pattern))
        source = SubscriberSource(broker, settings, before_poll=aside.learn)
        limits = Limits(
            slots=settings.slots,
            drain_seconds=settings.drain_limit_seconds,
            commit_interval_seconds=settings.commit_interval_seconds,
            stuck_seconds=settings.stuck_seconds,
            pause_seconds=settings.pause_seconds,
            max_retries=settings.max_retries,
            dlq_flood_ratio=settings.dlq_flood_ratio,
        )
        ports = Ports(source, store, provider, dead_letters)
        engine = Engine(ports, intake=aside.intake, limits=limits, answers=self._answers, broker_clock=self._broker_clock)
        guard = StaticIdGuard(engine, settings, member_id=source.member_id) if settings.static_id else engine
        source.subscribe([settings.tokens_topic, *retry_topics], guard)
        metrics.watch(engine, slots=settings.slots)
        return broker, engine

    async def _hang_up_board(self, stack: AsyncExitStack, engine: Engine) -> GateBoard:
        """Make the board of gates; a gate that an operator closed is closed when this returns."""
        settings = self._settings
        tables = await PostgresGates.connect(
            settings.database_url.get_secret_value(),
            provider=metrics.PROVIDER,
            worker=f"{socket.gethostname()}:{settings.health_port}",
        )
        stack.push_async_callback(tables.close)
        board = GateBoard(engine, tables)
        await board.prepare()
        return board

    async def _connect(self, dead_letters: DeadLetterProducer) -> None:
        try:
            await dead_letters.start()
        except (TimeoutError, OSError, KafkaError) as error:
            raise KafkaConnectionError(self._settings) from error

    def _make_producer(self) -> AIOKafkaProducer:
        return kafka_producer(
            self._settings,
            client_id=f"tokenflow-worker-{self._settings.worker_index}-dlq",
            max_record_bytes=MAX_MESSAGE_BYTES + HOP_BYTES,
        )

    async def _live(self, broker: KafkaBroker, engine: Engine, board: GateBoard) -> int:
        try:
            if await self._until_stopping(broker.start(), timeout_seconds=self._settings.start_deadline_seconds):
                engine.start()
                board.start()
                self._joined = True
                log.info("joined the group %s: up to %d calls", self._settings.kafka_group_id, self._settings.slots)
                await self._until_stopping(engine.failed())
        except TimeoutError as error:
            raise StartError(
                f"could not join the group {self._settings.kafka_group_id} within "
                f"{self._settings.start_deadline_seconds:.0f} s: see that the brokers and the other workers are healthy."
            ) from error
        except KafkaError as error:
            raise StartError(why_refused(error, self._settings)) from error
        finally:
            self._joined = False
            if not engine.failure.done():
                await engine.stop()
            await self._leave(broker)
            await board.stop()
        if engine.failure.done():
            log.critical("the engine failed; what was in flight will be repeated", exc_info=engine.failure.result())
            return 1
        log.info("stopped")
        return 0

    async def _until_stopping(self, work: Coroutine[Any, Any, None], *, timeout_seconds: float | None = None) -> bool:
        """Await `work`, or a signal to stop, whichever comes first: True if the work ended. Raises what it raises."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({task, stopping}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise TimeoutError
            if task in done:
                await task
            return task in done
        finally:
            for one in (task, stopping):
                one.cancel()
            await asyncio.wait({task, stopping}, timeout=LEAVE_SECONDS)

    async def _leave(self, broker: KafkaBroker) -> None:
        """Leave the group, so that the others get the partitions at once and not after a session timeout."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await broker.stop()
        except Exception:  # lint: allow broad-except because nothing that happens here may keep the process alive
            log.exception("could not leave the group cleanly; its partitions move after the session timeout")

    async def _verify_topics(self) -> list[str]:
        """Refuse topics that would not do; name the retry topics, those of earlier delays too."""
        for difference in await verify_topics(self._settings):
            if difference.fatal:
                raise StartError(str(difference))
            log.warning("%s", difference)
        return await list_retry_topics(self._settings)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def _interrupt(self) -> None:
        """First Ctrl-C: drain. Second: now; what is in flight is repeated by the next owner of its partition."""
        if self._stopping.is_set():
            os._exit(EXIT_NOW)
        log.warning("finishing the calls in flight; Ctrl-C again stops now and repeats them")
        self._stopping.set()

    def _why_not_ready(self) -> str | None:
        if self._engine is None:
            return "starting"
        if not self._joined:
            return "stopping" if self._stopping.is_set() else "joining the group"
        return "draining" if self._engine.state.draining else None

    def _closed_gates(self) -> list[str]:
        return [] if self._engine is None else [gate.name for gate in self._engine.closed_gates()]

    def _status(self) -> Mapping[str, object]:
        """Describe the worker for an operator; counts of records."""
        engine = self._engine
        books: dict[str, object] = {} if engine is None else {**engine.counts(), "gates": describe_gates(engine)}
        return {
            "slots": self._settings.slots,
            "drain_limit_seconds": self._settings.drain_limit_seconds,
            "not_ready": self._why_not_ready(),
            **books,
        }
