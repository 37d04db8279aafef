import asyncio
import time

from prometheus_client.parser import text_string_to_metric_families

from tests.support.system import System, WorkerProcess
from tests.support.waiting import eventually

SLOTS = 10 * 20

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(worker: WorkerProcess) -> Samples:
    """Read every sample: (name, labels) -> value."""
    status, text = await worker.get("/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """Sum the series of a metric that have these labels."""
    wanted = set(labels.items())
    return sum(found for (each, have), found in samples.items() if each == name and wanted <= have)


async def test_the_worker_s_numbers_are_those_of_the_database_and_of_the_mock(system: System) -> None:
    """Outcomes, calls, skips, commits and times after a run with failures; gauges while it runs."""
    tokens = [f"t{number}" for number in range(600)]
    system.mock.behave(latency_min_seconds=0.5, latency_max_seconds=1, error_ratio=0.2)
    await system.produce(token.encode() for token in tokens)
    await system.produce([b"[malformed]"])
    worker = system.start_worker()
    await worker.ready()

    async def busy() -> None:
        samples = await scrape(worker)
        assert value(samples, "tokens_calling") > 50
        assert value(samples, "tokens_in_flight") >= value(samples, "tokens_calling")
        assert value(samples, "tokens_window_records", topic=system.topic) > 50
        assert value(samples, "tokens_oldest_unsettled_seconds") > 0

    await eventually(busy, timeout_seconds=20)
    await system.wait_for(1, "dead_lettered")

    async def settled() -> None:
        assert await system.count("succeeded") + await system.count("dead_lettered") == len(tokens) + 1
        assert value(await scrape(worker), "tokens_in_flight") == 0

    await eventually(settled, timeout_seconds=30)
    samples, stats = await scrape(worker), system.mock.stats()
    assert value(samples, "tokens_concurrency_limit") == SLOTS
    assert value(samples, "tokens_outcomes_total", outcome="succeeded") == await system.count("succeeded")
    assert value(samples, "tokens_outcomes_total", outcome="dead_lettered") == await system.count("dead_lettered")
    assert value(samples, "tokens_outcomes_total", error_kind="malformed") == 1
    assert value(samples, "tokens_provider_requests_total") == stats["calls"] == len(tokens)
    assert value(samples, "tokens_provider_requests_total", result="transient") == stats["failed"]
    assert value(samples, "tokens_provider_request_duration_seconds_count") == stats["calls"]
    assert 0.5 <= value(samples, "tokens_provider_request_duration_seconds_sum") / stats["calls"] < 2
    assert value(samples, "tokens_end_to_end_seconds_count") == len(tokens) + 1
    assert value(samples, "tokens_dead_letters_produced_total") == await system.count("dead_lettered")
    assert value(samples, "tokens_commits_total", result="accepted") > 0
    assert ("tokens_oldest_unsettled_seconds", frozenset()) not in samples
    await worker.terminate()


async def test_utilisation_adds_up_to_slots_times_time(system: System) -> None:
    """Within 1 %, between any two scrapes, under load."""
    system.mock.behave(latency_min_seconds=0.2, latency_max_seconds=0.4)
    worker = system.start_worker()
    await worker.ready()
    before, began = await scrape(worker), time.monotonic()
    await system.produce(f"t{number}".encode() for number in range(1_500))
    await system.wait_for(1_500)
    after, passed = await scrape(worker), time.monotonic() - began

    spent = {
        state: value(after, "tokens_worker_slot_seconds_total", state=state)
        - value(before, "tokens_worker_slot_seconds_total", state=state)
        for state in ("calling", "idle")
    }
    assert abs(sum(spent.values()) - SLOTS * passed) < 0.01 * SLOTS * passed + SLOTS * 0.02
    calls = value(after, "tokens_provider_request_duration_seconds_sum")
    assert abs(spent["calling"] - calls) < 0.02 * calls
    await worker.terminate()


async def test_skips_rebalances_and_conflicts_are_counted(system: System) -> None:
    """What costs nothing is seen all the same."""
    record_id = ("record-id", b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e")
    await system.produce([b"one"], headers=[record_id])
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(1)
    await system.produce([b"two", b"one"], headers=[record_id])
    await system.wait_for(2)
    other = system.start_worker()
    await asyncio.gather(worker.ready(), other.ready())

    async def counted() -> None:
        both = [await scrape(each) for each in (worker, other)]
        assert sum(value(samples, "tokens_records_skipped_total") for samples in both) == 1
        assert sum(value(samples, "tokens_identity_conflicts_total") for samples in both) == 1
        assert sum(value(samples, "tokens_rebalances_total") for samples in both) >= 1

    await eventually(counted, timeout_seconds=20)
    await worker.terminate()
    await other.terminate()
