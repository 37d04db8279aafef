"""Failures have a fate: tried again when due, as often as allowed, and what cannot be mended set aside at once."""

import re

from prometheus_client.parser import text_string_to_metric_families

from tests.support.system import System, WorkerProcess
from tests.support.waiting import eventually

DELAY_MINUTES = 0.05
RULES = [
    {"pattern": "flaky.*", "behaviour": {"fail_first_calls": 2, "fail_first_with": 500}},
    {"pattern": "poison.*", "behaviour": {"statuses": {"500": 1}}},
    {"pattern": "gone.*", "behaviour": {"statuses": {"404": 1}}},
]


async def test_each_failure_has_its_fate(system: System) -> None:
    """Three tries for what may be mended, one for what may not or is well; every row and every offset at its end."""
    await system.create_topics(retry_delay_minutes=DELAY_MINUTES)
    system.mock.behave(rules=RULES)
    counts = {"good": 300, "flaky": 20, "poison": 20, "gone": 20}  # so few outages do not open the breaker
    tokens = [f"{kind}{number}" for kind, count in counts.items() for number in range(count)]
    await system.produce(token.encode() for token in tokens)
    worker = system.start_worker(MAX_RETRIES="2")
    await worker.ready()
    await system.wait_for(320)
    await system.wait_for(40, "dead_lettered")

    rows = await system.rows("SELECT token, outcome::text, attempt, error_kind, source_topic FROM outcomes")
    ends = {
        (re.sub("[0-9]", "", row["token"]), row["outcome"], row["attempt"], row["error_kind"], row["source_topic"])
        for row in rows
    }
    assert ends == {
        ("good", "succeeded", 1, None, system.topic),
        ("flaky", "succeeded", 3, None, system.topic),
        ("poison", "dead_lettered", 3, "transient", system.topic),
        ("gone", "dead_lettered", 1, "rejected", system.topic),
    }
    calls = system.mock.stats("?tokens=true")["calls_by_token"]
    assert {re.sub("[0-9]", "", token): count for token, count in calls.items()} == {
        "good": 1, "flaky": 3, "poison": 3, "gone": 1,
    }  # fmt: skip
    await system.drained()
    early, fired = await _due_errors(worker)
    assert (early, fired) == (0, 80)
    await worker.terminate()


async def test_records_of_an_earlier_delay_are_still_tried(system: System) -> None:
    """RETRY_DELAY_MINUTES is changed while records are parked: they are due by the topic that they lie in."""
    await system.create_topics(retry_delay_minutes=DELAY_MINUTES)
    system.mock.behave(rules=RULES)
    await system.produce([b"flaky1"])
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(1, "retrying")
    await worker.terminate()

    await system.create_topics(retry_delay_minutes=DELAY_MINUTES * 2)
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(1)
    assert system.mock.stats()["calls"] == 3
    await worker.terminate()


async def test_what_is_held_survives_a_kill_and_a_rebalance(system: System) -> None:
    """Records are parked and held by one worker; it is killed, another one joins and a third: each is tried once more."""
    await system.create_topics(retry_delay_minutes=DELAY_MINUTES * 4)
    system.mock.behave(rules=[{"pattern": ".*7", "behaviour": {"fail_first_calls": 1, "fail_first_with": 500}}])
    tokens = [f"t{number}" for number in range(2_000)]
    failing = {token for token in tokens if token.endswith("7")}
    await system.produce(token.encode() for token in tokens)
    first = system.start_worker()
    await first.ready()
    await system.wait_for(len(tokens) - len(failing))
    await system.wait_for(len(failing), "retrying")
    await eventually(lambda: _holds(first), timeout_seconds=10)
    first.kill()
    workers = [system.start_worker() for _ in range(2)]
    await system.wait_for(len(tokens))
    assert system.mock.stats("?tokens=true")["calls_by_token"] == {token: 1 + (token in failing) for token in tokens}
    for worker in workers:
        await worker.terminate()
    await system.drained()


async def _holds(worker: WorkerProcess) -> None:
    _, text = await worker.get("/status")
    assert '"held": 0' not in text, text


async def _due_errors(worker: WorkerProcess) -> tuple[int, int]:
    """Count the retries that fired before they were due, and all that fired."""
    _, text = await worker.get("/metrics")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {
        sample.labels.get("le", "count"): int(sample.value)
        for sample in samples
        if sample.name in {"tokens_retry_due_error_seconds_bucket", "tokens_retry_due_error_seconds_count"}
    }
    return found["0.0"], found["count"]
