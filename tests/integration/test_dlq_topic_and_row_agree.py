"""Dead letters of failed calls: the record on the topic and the row tell the same, and both are there."""

from tests.support.contract import read_letters
from tests.support.system import System

COUNT = 300


async def test_every_failed_call_lies_in_the_topic_and_in_its_row(system: System) -> None:
    """Key, value and headers as they came; kind, message, attempt and id the same in both places; successes in neither."""
    system.mock.behave(error_ratio=0.15)  # far from the half that opens the breaker
    values = [b'{"token":"t%d","country":"DE"}' % number for number in range(COUNT)]
    await system.produce(values, headers=[("origin", b"\xff")])
    worker = system.start_worker(MAX_RETRIES="0")
    await worker.ready()
    await system.drained()
    await worker.terminate()

    rows = await system.rows("SELECT * FROM dead_letters")
    letters = await read_letters(system.kafka, f"{system.topic}.dlq")
    assert len(rows) == await system.count("dead_lettered") == system.mock.stats()["failed"] > 0
    assert await system.count() == COUNT - len(rows)
    assert letters.keys() == {(row["source_partition"], row["source_offset"]) for row in rows}
    for row in rows:
        (letter,) = letters[row["source_partition"], row["source_offset"]]
        assert (letter.key, letter.value) == (row["key"], row["payload"])
        assert letter.value in values
        assert letter.foreign == (("origin", b"\xff"),)
        assert letter.text("record-id") == str(row["record_id"])
        assert (letter.text("error-kind"), letter.text("error-message")) == (row["error_kind"], row["error_message"])
        assert (row["error_kind"], letter.text("attempt"), letter.text("redrive-count")) == ("transient", "1", "0")


async def test_a_worker_that_is_killed_leaves_no_row_without_its_record_on_the_topic(system: System) -> None:
    """Invariant 1 by kill -9 half way: the topic may be ahead of the rows, never behind them."""
    await system.produce([b"[%d" % number for number in range(20_000)], keyed=False)
    worker = system.start_worker()
    await system.wait_for(1, "dead_lettered")
    worker.kill()
    letters = await read_letters(system.kafka, f"{system.topic}.dlq")
    rows = await system.rows("SELECT source_partition, source_offset FROM dead_letters")
    assert 0 < len(rows) < 20_000
    assert {tuple(row) for row in rows} <= letters.keys()
