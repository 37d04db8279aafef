"""A redrive while the API is still away.

Situation: hundreds of dead letters; the cause of their error is mended.
Fault: the API goes away before they are redriven, and comes back when all are sent.
Must hold: none is a dead letter again; each is called once more, and succeeds under its own row, one redrive higher.
"""

from pathlib import Path

from tests.support.dlq import dlq
from tests.support.faults import hold_fault
from tests.support.system import System

TOKENS = 300
AWAY_SECONDS = 5.0


async def test_a_redrive_while_the_provider_is_down_loses_nothing(system: System, tmp_path: Path) -> None:
    """The breaker keeps the rest; what it had not seen coming is tried again."""
    await system.create_topics(retry_delay_minutes=0.05)
    system.mock.behave(statuses={"404": 1.0})
    tokens = [f"t{number}" for number in range(TOKENS)]
    await system.produce(token.encode() for token in tokens)
    worker = system.start_worker(DLQ_FLOOD_RATIO="0")
    await system.wait_for(TOKENS, "dead_lettered")

    system.mock.change(statuses={})
    system.mock.go_down("refuse")
    sent = await dlq(system, "redrive", "--all", folder=tmp_path)
    assert sent.stdout == b"redrive done: 300 of 300 sent again\n", sent.stderr.decode()
    await hold_fault(AWAY_SECONDS)
    assert await system.count("dead_lettered") == 0
    system.mock.come_up()
    await system.wait_for(TOKENS)
    assert await system.rows("SELECT 1 FROM dead_letters") == []
    rows = await system.rows("SELECT token, redrive_count FROM outcomes")
    assert {row["token"]: row["redrive_count"] for row in rows} == dict.fromkeys(tokens, 1)
    assert system.mock.stats("?tokens=true")["calls_by_token"] == dict.fromkeys(tokens, 2)
    await system.drained()
    await worker.terminate()
