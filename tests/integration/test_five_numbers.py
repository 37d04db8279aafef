"""The five numbers, the dashboard and every metric, on one run of a real system under a real Prometheus."""

import math
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.lint.check import ROOT
from infra.lint.metrics_table import metrics_of_all_processes
from infra.prometheus.local import LocalPrometheus
from tests.support import services
from tests.support.dashboards import panels, read_dashboard
from tests.support.mock_processes import running_mock_api
from tests.support.prometheus import Prometheus, Series, running_prometheus
from tests.support.watched_run import SCRAPE_SECONDS, SLOTS, WAITING, Run, database_of, play

NUMBERS = {
    "throughput": "tokenflow:throughput:rate1m",
    "provider_latency": "tokenflow:provider_latency_seconds:avg1m",
    "end_to_end": "tokenflow:end_to_end_seconds:avg1m",
    "queue_size": "tokenflow:queue_size_records",
    "in_flight": "tokenflow:in_flight_records",
    "time_to_drain": "tokenflow:time_to_drain_seconds",
    "error_ratio": "tokenflow:error_ratio:rate1m",
    "dead_letter_ratio": "tokenflow:dead_letter_ratio:rate1m",
    "utilisation": "tokenflow:worker_utilisation_ratio:rate1m",
}
CONSTANT = {"tokens_concurrency_limit": SLOTS, "kafka_topic_partitions": 6}
"""Metrics that do not change while a system runs, and their values here."""
PROVED_ELSEWHERE = {
    "tokens_repeated_calls_total": ("tests/support/fleet.py", "tokens_repeated_calls_total"),
    "tokens_gate_closed": ("tests/integration/test_gates.py", "tokens_gate_closed"),
    "tokens_retry_due_error_seconds": ("tests/integration/test_worker_retries.py", "tokens_retry_due_error_seconds"),
    "tokens_dead_letters_taken_total": ("tests/integration/test_dlq_api.py", "tokens_dead_letters_taken_total"),
    "tokens_operations_running": ("tests/integration/test_dlq_api.py", "tokens_operations_running"),
    "tokens_rows_pruned_total": ("tests/integration/test_retention.py", "counter"),
    "tokens_records_lost_total": ("tests/unit/consumers/test_takeover.py", "metrics.RECORDS_LOST"),
}
"""Metric -> the file of the tests in which it changes, and its name there; for what would take too long here."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPrometheus]:
    """A Prometheus that outlives the run, to be asked about it."""
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), scrape_seconds=SCRAPE_SECONDS) as prometheus:
        yield prometheus


@pytest.fixture
def ask(server: LocalPrometheus) -> Prometheus:
    """What is asked."""
    return Prometheus(server.url)


@pytest.fixture(scope="module")
def run(
    server: LocalPrometheus, kafka: str, database_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """The run, once for all tests."""
    folder: Path = tmp_path_factory.mktemp("run")
    base = f"test-{uuid.uuid4().hex[:12]}"
    database = database_of(database_url, template_database)
    with running_mock_api(folder) as mock:
        return services.run_apart(lambda: play(server, mock, folder, kafka=kafka, database=database, base=base))


async def known(ask: Prometheus, at: float) -> dict[str, float]:
    """Read the numbers at a moment; what is unknown is not among them."""
    found = {name: await ask.value(rule, at=at) for name, rule in NUMBERS.items()}
    return {name: value for name, value in found.items() if value is not None}


async def number(ask: Prometheus, expression: str, *, at: float) -> float:
    """Return the one value of an expression, which there must be."""
    found = await ask.value(expression, at=at)
    assert found is not None, expression
    return found


async def whole_run(ask: Prometheus, run: Run, expression: str) -> list[Series]:
    """Evaluate an expression all through the run."""
    return await ask.query_range(expression, start=run.started_at, end=run.ended_at, step_seconds=SCRAPE_SECONDS)


async def test_without_a_worker_the_queue_has_a_size_and_nothing_else_is_claimed(run: Run, ask: Prometheus) -> None:
    """An empty queue is drained, a full one has no time to drain; what nobody knows has no number."""
    assert await known(ask, run.idle_at) == {"queue_size": 0, "time_to_drain": 0}
    assert await known(ask, run.waiting_at) == {"queue_size": WAITING}


async def test_the_five_numbers_agree_with_what_postgres_the_mock_and_kafka_know(run: Run, ask: Prometheus) -> None:
    """At rest after work by two workers. Rates look one minute back, as do the rows; ratios and averages are near.

    Near, since a worker is first scraped some seconds after its start, and on a busy machine a call takes longer than the
    mock planned. The counters below are compared to the last one, and bench/five_numbers.py to a percent.
    """
    numbers, rows, stats = await known(ask, run.rest_at), run.rows, run.stats
    final = rows["succeeded"] + rows["dead_lettered"]
    assert final > 1_800
    assert numbers["throughput"] == pytest.approx(rows["of_the_last_minute"] / 60, rel=0.1)
    assert 1 <= numbers["provider_latency"] / (run.planned_seconds / stats["calls"]) < 2
    assert numbers["end_to_end"] == pytest.approx(rows["end_to_end_seconds"], rel=0.5)
    assert numbers["queue_size"] == run.lag == 0
    assert numbers["in_flight"] == numbers["time_to_drain"] == 0
    assert numbers["error_ratio"] == pytest.approx(stats["failed"] / stats["calls"], rel=0.15)
    assert numbers["dead_letter_ratio"] == pytest.approx(rows["dead_lettered"] / final, rel=0.05)
    assert 0.8 < numbers["utilisation"] / (run.planned_seconds / run.slot_seconds) < 2


async def test_the_workers_counters_are_those_of_the_database_and_of_the_mock(run: Run, ask: Prometheus) -> None:
    """To the last one: outcomes, calls, dead letters."""
    rows, stats, at = run.rows, run.stats, run.rest_at
    final = rows["succeeded"] + rows["dead_lettered"]
    assert await ask.value('sum(tokens_outcomes_total{outcome="succeeded"})', at=at) == rows["succeeded"]
    assert await ask.value('sum(tokens_outcomes_total{outcome="dead_lettered"})', at=at) == rows["dead_lettered"]
    assert await ask.value('sum(tokens_outcomes_total{error_kind="malformed"})', at=at) == 2
    assert await ask.value("sum(tokens_end_to_end_seconds_count)", at=at) == final
    whole = await ask.value("sum(tokens_end_to_end_seconds_sum)", at=at)
    assert whole == pytest.approx(final * rows["end_to_end_seconds"], rel=0.15)
    assert await ask.value("sum(tokens_provider_requests_total)", at=at) == stats["calls"] == final - 2
    assert await ask.value('sum(tokens_provider_requests_total{result!="answered"})', at=at) == stats["failed"]
    assert await ask.value("sum(tokens_provider_request_duration_seconds_count)", at=at) == stats["calls"]
    assert await ask.value("sum(tokens_dead_letters_produced_total)", at=at) == rows["dead_lettered"]
    assert await ask.value("min(tokens_concurrency_limit)", at=at) == SLOTS
    assert await ask.query("tokens_oldest_unsettled_seconds", at=at) == []


async def test_every_counter_of_a_worker_is_there_before_it_counts(run: Run, ask: Prometheus) -> None:
    """From 0: rate() misses what a series begins with. The first scrape of a worker has all that it will ever say."""
    first = {each.labels["instance"]: each.points[0][0] for each in await whole_run(ask, run, 'up{job="workers"} == 1')}
    assert len(first) == 2
    counters = await whole_run(ask, run, '{job="workers", __name__=~"tokens_.+_total"}')
    late = {each.labels["__name__"] for each in counters if each.points[0][0] > first[each.labels["instance"]]}
    assert len(counters) > 40
    assert late <= {"tokens_worker_slot_seconds_total"}, "which begins with the engine, at 0"


async def test_the_time_of_calling_slots_is_that_of_the_calls(run: Run, ask: Prometheus) -> None:
    """What utilisation counts and what the latency counts are the same seconds, but for what a busy event loop adds."""
    calls = await number(ask, "sum(tokens_provider_request_duration_seconds_sum)", at=run.rest_at)
    calling = await number(ask, 'sum(tokens_worker_slot_seconds_total{state="calling"})', at=run.rest_at)
    assert calling == pytest.approx(calls, rel=0.1)


async def test_gauges_tell_what_is_in_hand(run: Run, ask: Prometheus) -> None:
    """At work: calls up to the slots, never more; records in hand at least as many; skips and conflicts to the one."""
    span = f"[{run.ended_at - run.started_at:.0f}s]"
    for gauge, least in (("tokens_calling", 50), ("tokens_in_flight", 50), ("tokens_window_records", 20)):
        assert await number(ask, f"max(max_over_time({gauge}{span}))", at=run.ended_at) > least, gauge
    assert await number(ask, f"max(max_over_time(tokens_calling{span}))", at=run.ended_at) <= SLOTS
    assert await number(ask, f"max(max_over_time(tokens_oldest_unsettled_seconds{span}))", at=run.ended_at) > 0.1
    for counter, value in (("tokens_records_skipped_total", 1), ("tokens_identity_conflicts_total", 1)):
        assert await number(ask, f"sum(max_over_time({counter}{span}))", at=run.ended_at) == value, counter
    assert await number(ask, f"sum(max_over_time(tokens_rebalances_total{span}))", at=run.ended_at) >= 1


async def test_every_query_of_the_dashboard_returns_data(run: Run, ask: Prometheus) -> None:
    """A panel that stays empty whatever happens is worse than none; and none ever shows a number that is none."""
    empty = []
    for panel in panels(read_dashboard(), group=run.group, topic=run.group):
        for target in panel.targets:
            values = [value for series in await whole_run(ask, run, target.expression) for _, value in series.points]
            if not values:
                empty.append(f"{panel.title}: {target.expression}")
            assert all(math.isfinite(value) for value in values), panel.title
            assert panel.unit != "percentunit" or all(0 <= value <= 1.001 for value in values), panel.title
    assert not empty


async def test_every_catalogued_metric_is_emitted_and_changes(run: Run, ask: Prometheus) -> None:
    """What a catalogue names, a running system says, and with another value when something happens."""
    still = []
    for name, kind, _labels, _meaning in metrics_of_all_processes():
        found = await whole_run(ask, run, f"{name}_count" if kind == "histogram" else name)
        if name in CONSTANT:
            assert any(series.last == CONSTANT[name] for series in found), name
        elif name in PROVED_ELSEWHERE:
            path, word = PROVED_ELSEWHERE[name]
            assert word in (ROOT / path).read_text("utf-8"), name
        elif not any(len({value for _, value in series.points}) > 1 or begins_late(series, run) for series in found):
            still.append(name)
    assert not still


def begins_late(series: Series, run: Run) -> bool:
    """Tell whether a series with a value appeared while its process was being watched: of labels that cannot be foreseen."""
    return series.points[0][0] > run.rest_at and series.last > 0
