"""A replay during a rebalance.

Situation: thousands of answers are stored; the rows of some are lost, as after a back-up; fresh tokens are worked on.
Fault: while the log is replayed, workers join and leave.
Must hold: the lost ones come back under their own ids, called once more; nothing that is stored is called again; every
token has one row, and nothing is left in the queue.
"""

import asyncio
import os
import random
from pathlib import Path

from tests.support.dlq import tokenflow
from tests.support.system import System, WorkerProcess

TOKENS = 3_000
LOST = "DELETE FROM outcomes WHERE token LIKE 'old%7' OR token LIKE 'old%3'"
JOINS = 3


async def test_a_replay_during_a_rebalance_calls_for_nothing_stored(system: System, tmp_path: Path) -> None:
    """Copies of a record lie in its own partition: whoever has that has both."""
    seed = int(os.environ.get("FAILURE_SEED") or random.randrange(2**32))
    print(f"FAILURE_SEED={seed}")
    rng = random.Random(seed)
    system.mock.behave(latency_min_seconds=0.05, latency_max_seconds=0.3)
    old = [f"old{number}" for number in range(TOKENS)]
    await system.produce(token.encode() for token in old)
    workers = [system.start_worker() for _ in range(2)]
    await system.wait_for(TOKENS)
    await system.drained()
    before = {row["token"]: row["record_id"] for row in await system.rows("SELECT token, record_id FROM outcomes")}
    await system.rows(LOST)

    fresh = [f"new{number}" for number in range(TOKENS)]
    await system.produce(token.encode() for token in fresh)
    replay = asyncio.create_task(tokenflow(system, "replay", "--since", "1h", "--rate", "100", folder=tmp_path))
    for _ in range(JOINS):
        await _join_and_leave(system, workers, rng)
    done = await replay
    assert done.returncode == 0, done.stderr.decode()
    await system.wait_for(2 * TOKENS)
    await system.drained()

    rows = await system.rows("SELECT token, record_id FROM outcomes WHERE outcome = 'succeeded'")
    assert sorted(row["token"] for row in rows) == sorted([*old, *fresh])
    assert {row["token"]: row["record_id"] for row in rows if row["token"] in before} == before
    calls = system.mock.stats("?tokens=true")["calls_by_token"]
    again = {token for token, count in calls.items() if count > 1}
    assert again == {token for token in old if token[-1] in "37"}
    assert max(calls.values()) == 2
    for worker in workers:
        await worker.terminate()


async def _join_and_leave(system: System, workers: list[WorkerProcess], rng: random.Random) -> None:
    workers.append(system.start_worker())
    await workers[-1].ready()
    await workers.pop(rng.randrange(len(workers))).terminate()
