"""The worker's metric catalogue: every metric with kind, unit, labels and meaning. Labels are bounded, never a token.

Kinds and units are in the names (`_total` counts, `_seconds` are histograms, the rest are gauges read at scrape time).
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from time import time
from typing import Protocol

from aiokafka.structs import TopicPartition
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from consumers.engine.gates import ClosedGate, GateName
from consumers.engine.record import DeadLettered, ErrorKind, Retrying, Settled, Succeeded


class LoopHistogram(Histogram):
    """A histogram that only the event loop's thread observes, so without a lock: 0.15 us each, of 0.8 (client 0.26)."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count one observation; without exemplars."""
        assert exemplar is None  # noqa: S101 - nobody here has any
        self._sum._value += amount  # noqa: SLF001 - the lock around it is what is left out
        self._buckets[bisect_left(self._upper_bounds, amount)]._value += 1  # noqa: SLF001 - see above


OUTCOMES = Counter("tokens_outcomes", "Outcomes made durable by this worker.", ["outcome", "error_kind"])
REQUESTS = Counter("tokens_provider_requests", "Calls that ended, by what came of them.", ["provider", "result"])
REQUEST_SECONDS = LoopHistogram(
    "tokens_provider_request_duration_seconds",
    "Duration of one provider call.",
    ["provider"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 4, 6, 8, 10, 15, 20, 30, 60),
)
END_TO_END_SECONDS = LoopHistogram(
    "tokens_end_to_end_seconds",
    "From the broker's append of a record to its durable outcome.",
    buckets=(0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200),
)
RETRY_DUE_ERROR_SECONDS = Histogram(
    "tokens_retry_due_error_seconds",
    "From the moment when a retry was due to the start of its call; never negative, unless clocks differ.",
    buckets=(0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
RECORDS_SKIPPED = Counter("tokens_records_skipped", "Records not called because their outcome was stored already.")
IDENTITY_CONFLICTS = Counter(
    "tokens_identity_conflicts", "Records that got their derived id, because their record-id belongs to another token."
)
DEAD_LETTERS = Counter(
    "tokens_dead_letters_produced",
    "Dead letters acknowledged on the DLQ topic, whole or without_payload (too large).",
    ["form"],
)
CALLS_SHARED = Counter("tokens_calls_shared", "Records that shared the call of another one with the same token.")
REPEATED_CALLS = Counter(
    "tokens_repeated_calls",
    "Calls that may have been made before, by a worker that was killed, on a connection that broke, or as the ones that a "
    "closed gate sent back: an upper bound of the repeats.",
)
RECORDS_LOST = Counter("tokens_records_lost", "Records that retention deleted before this worker's group had read them.")
COMMITS = Counter("tokens_commits", "Offset commits: accepted, unanswered (deadline) or fenced (rebalance).", ["result"])
REBALANCES = Counter("tokens_rebalances", "Times that this worker gave its partitions back.")
IN_FLIGHT = Gauge("tokens_in_flight", "Records polled and not yet settled.")
CALLING = Gauge("tokens_calling", "Records with a call running.")
PERSISTING = Gauge("tokens_persisting", "Answers whose row is not durable yet.")
CONCURRENCY_LIMIT = Gauge("tokens_concurrency_limit", "Calls that may run at once in this worker.")


class Watched(Protocol):
    """The engine, as far as a scrape reads it."""

    def counts(self) -> dict[str, int]: ...  # noqa: D102 - documented there
    def slot_seconds(self) -> dict[str, float]: ...  # noqa: D102
    def window_records(self) -> dict[TopicPartition, int]: ...  # noqa: D102
    def oldest_unsettled_seconds(self) -> float | None: ...  # noqa: D102
    def closed_gates(self) -> list[ClosedGate]: ...  # noqa: D102


class EngineCollector(Collector):
    """Metrics that are read off the engine at each scrape; what is unknown has no series."""

    def __init__(self) -> None:
        self.engine: Watched | None = None

    def describe(self) -> Iterable[Metric]:
        """Name the metrics without their values."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Read the engine."""
        slots, windows, oldest, gates = families = self._families()
        if self.engine is not None:
            for state, seconds in self.engine.slot_seconds().items():
                slots.add_metric([state], seconds)
            for partition, records in self.engine.window_records().items():
                windows.add_metric([partition.topic, str(partition.partition)], records)
            if (seconds_ago := self.engine.oldest_unsettled_seconds()) is not None:
                oldest.add_metric([], seconds_ago)
            closed = {gate.name for gate in self.engine.closed_gates()}
            for name in GateName:
                gates.add_metric([PROVIDER, name], float(name in closed))
        return families

    @staticmethod
    def _families() -> tuple[CounterMetricFamily, GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            CounterMetricFamily(
                "tokens_worker_slot_seconds",
                "Time of this worker's slots by state (calling, gated, idle), time-weighted: they add up to slots x time.",
                labels=["state"],
            ),
            GaugeMetricFamily(
                "tokens_window_records", "Unsettled records of an assigned partition.", labels=["topic", "partition"]
            ),
            GaugeMetricFamily(
                "tokens_oldest_unsettled_seconds",
                "How long ago the oldest unsettled record was polled; no series where none is.",
                labels=[],
            ),
            GaugeMetricFamily(
                "tokens_gate_closed",
                "1 where a gate of this worker holds calls back, by the gate.",
                labels=["provider", "gate"],
            ),
        )


ENGINE = EngineCollector()
REGISTRY.register(ENGINE)

PROVIDER = "default"
"""Name of the one provider that there is."""
_seconds = REQUEST_SECONDS.labels(PROVIDER)
_answered = REQUESTS.labels(PROVIDER, "answered")
_NO_CALL = {ErrorKind.MALFORMED, ErrorKind.UNSTORABLE, ErrorKind.SET_ASIDE}
"""Kinds that are not what came of a call: nothing was called, or it was answered."""


def _start_from_zero() -> None:
    """Give each counter its series before anything is counted: rate() misses what a series begins with."""
    OUTCOMES.labels("succeeded", "")
    for kind in ErrorKind:
        OUTCOMES.labels("dead_lettered", kind)
        if kind not in _NO_CALL:
            OUTCOMES.labels("retrying", kind)
            REQUESTS.labels(PROVIDER, kind)
    for result in ("accepted", "unanswered", "fenced"):
        COMMITS.labels(result)
    for form in ("whole", "without_payload"):
        DEAD_LETTERS.labels(form)


_start_from_zero()


def observe_call(error: ErrorKind | None, seconds: float) -> None:
    """Record the end of one call: with an answer, or with an error of this kind."""
    _seconds.observe(seconds)
    if error is None:
        _answered.inc()
    else:
        REQUESTS.labels(PROVIDER, error).inc()


def count_outcomes(batch: Sequence[Settled]) -> None:
    """Record a batch of outcomes that became durable just now."""
    now = time()
    for settled in batch:
        if not isinstance(settled.outcome, Retrying):
            END_TO_END_SECONDS.observe(max(0.0, now - settled.record.source.timestamp_ms / 1000))
    for (name, kind), count in Tally(map(_labels, batch)).items():
        OUTCOMES.labels(name, kind).inc(count)


def watch(engine: Watched, *, slots: int) -> None:
    """Read the gauges from the engine at each scrape."""
    ENGINE.engine = engine
    IN_FLIGHT.set_function(lambda: engine.counts()["unsettled"])
    CALLING.set_function(lambda: engine.counts()["calling"])
    PERSISTING.set_function(lambda: engine.counts()["persisting"])
    CONCURRENCY_LIMIT.set(slots)


def _labels(settled: Settled) -> tuple[str, str]:
    match settled.outcome:
        case Succeeded():
            return ("succeeded", "")
        case DeadLettered(kind):
            return ("dead_lettered", kind)
        case Retrying(kind):
            return ("retrying", kind)
