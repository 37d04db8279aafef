"""WORKER_CONCURRENCY x QUEUE_BATCH_SIZE as their users know them: so many calls in flight, never one more."""

import asyncio
import json

from tests.support.system import System, WorkerProcess
from tests.support.waiting import eventually

SHAPES = ((1, 1), (1, 8), (8, 1), (3, 4))


async def _reaches_its_slots(worker: WorkerProcess, slots: int) -> None:
    """Watch one worker until as many of its calls run as it has slots; more than that fails at once."""

    async def full() -> None:
        _, text = await worker.get("/status")
        calling = json.loads(text)["calling"]
        if calling > slots:
            raise RuntimeError(f"{calling} calls run on {slots} slots")
        assert calling == slots

    await eventually(full, timeout_seconds=20, interval_seconds=0.02)


async def test_every_shape_of_a_worker_fills_its_slots_and_no_more(system: System) -> None:
    """From one call at a time upwards, side by side in one group: 1 x 1, a wide one, a deep one, both."""
    tokens = [f"t{number}" for number in range(180)]
    system.mock.behave(latency_min_seconds=0.05, latency_max_seconds=0.1)
    workers = [
        (system.start_worker(WORKER_CONCURRENCY=str(concurrency), QUEUE_BATCH_SIZE=str(batch)), concurrency * batch)
        for concurrency, batch in SHAPES
    ]
    await asyncio.gather(*(worker.ready() for worker, _ in workers))
    watching = asyncio.gather(*(_reaches_its_slots(worker, slots) for worker, slots in workers))
    await system.produce(token.encode() for token in tokens)
    await watching
    await system.wait_for(len(tokens))
    await system.assert_promise(tokens)
    assert system.mock.stats()["max_in_flight"] <= sum(slots for _, slots in workers)
    await asyncio.gather(*(worker.terminate() for worker, _ in workers))
