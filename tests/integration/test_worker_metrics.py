import time

from prometheus_client.parser import text_string_to_metric_families

from tests.support.system import System, WorkerProcess

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
    assert abs(spent["calling"] - calls) < 0.1 * calls, "a slot is taken when its task is made, some ms before the call"
    await worker.terminate()
