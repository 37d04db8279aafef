"""`tokenflow dlq set-aside TOPIC PARTITION OFFSET`, whatever the workers do at the time."""

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from infra.errors import ExpectedError
from infra.set_aside.aside import Done, set_aside
from tests.support.contract import read_letters
from tests.support.dlq import dlq
from tests.support.system import System
from tests.support.waiting import eventually
from topics.settings import KafkaSettings

RECORD_ID = b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"


def _settings(system: System, **changes: str) -> KafkaSettings:
    names = {"kafka_bootstrap_servers": system.kafka, "kafka_group_id": system.topic, "tokens_topic": system.topic}
    return KafkaSettings.model_validate({**names, **changes})


async def _set_aside(system: System, partition: int, offset: int, **changes: str) -> Done:
    settings = _settings(system, **changes)
    return await set_aside(settings, system.database, TopicPartition(system.topic, partition), offset, reason="poison")


async def test_a_record_is_set_aside_before_a_worker_is_there_and_is_never_called(system: System, tmp_path: Path) -> None:
    """The command as a user types it: dead letter in the topic, then the row; twice is once; the group goes past it."""
    placed = await system.produce([b"one", b"poison", b"two"], headers=[("origin", b"\xff")])
    at = placed[1]
    arguments = ("set-aside", system.topic, str(at.partition), str(at.offset), "--reason", "it ends every worker")
    first = await dlq(system, *arguments, folder=tmp_path)
    assert (first.returncode, first.stderr) == (0, b"")
    assert f"{system.topic}[{at.partition}]@{at.offset} (record " in first.stdout.decode()
    assert "token poison) is set aside" in first.stdout.decode()
    second = await dlq(system, *arguments, folder=tmp_path)
    assert second.stdout.decode().endswith("is dead_lettered already: nothing was changed.\n")

    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(2)
    await system.drained()
    assert system.mock.stats("?tokens=true")["calls_by_token"] == {"one": 1, "two": 1}
    (row,) = await system.rows("SELECT * FROM dead_letters")
    assert (row["token"], row["error_kind"], row["error_message"]) == ("poison", "set_aside", "it ends every worker")
    assert (row["payload"], row["attempt"]) == (b"poison", 0)
    ((letter,),) = (await read_letters(system.kafka, f"{system.topic}.dlq")).values()
    assert (letter.value, letter.text("error-kind"), letter.foreign) == (b"poison", "set_aside", (("origin", b"\xff"),))
    assert letter.text("record-id") == str(row["record_id"])

    done = await _set_aside(system, placed[0].partition, placed[0].offset)
    assert (done.outcome, done.written) == ("succeeded", False)
    assert await system.count("dead_lettered") == 1
    await worker.terminate()


async def test_a_call_that_runs_meanwhile_takes_the_row_whether_it_succeeds_or_fails(system: System) -> None:
    """By the order of rows: a success is above a dead letter, and closes it; a failure has attempt 1 where this has 0."""
    rules = [{"tokens": ["bad"], "behaviour": {"statuses": {"404": 1}}}]
    system.mock.behave(latency_min_seconds=2, latency_max_seconds=2, rules=rules)
    good, bad = await system.produce([b"good", b"bad"])
    worker = system.start_worker()

    def both_are_called() -> None:
        assert system.mock.stats()["in_flight"] == 2

    await eventually(both_are_called, timeout_seconds=15)
    for at in (good, bad):
        assert (await _set_aside(system, at.partition, at.offset)).written
    assert system.mock.stats()["in_flight"] == 2
    assert await system.count("dead_lettered") == 2
    await system.wait_for(1)
    await system.drained()
    (row,) = await system.rows("SELECT * FROM dead_letters")
    assert (row["token"], row["error_kind"], row["attempt"]) == ("bad", "rejected", 1)
    await worker.terminate()
    await system.assert_promise(["good", "bad"])


async def test_ids_are_those_that_a_worker_gives(system: System) -> None:
    """An id in the header; the derived one where it belongs to another token; a value that names none: never two rows."""
    header = [("record-id", RECORD_ID)]
    (mine,) = await system.produce([b"mine"], headers=header)
    (other,) = await system.produce([b"other"], headers=header)
    (nothing,) = await system.produce([b"[1]"], headers=header)
    ids = [str((await _set_aside(system, at.partition, at.offset)).record.record_id) for at in (mine, other, nothing)]
    assert ids[0] == RECORD_ID.decode()
    assert len(set(ids)) == 3
    worker = system.start_worker()
    await worker.ready()
    await system.drained()
    rows = await system.rows("SELECT token, error_kind, record_id::text FROM dead_letters")
    assert {tuple(row) for row in rows} == {
        (token, "set_aside", record_id) for token, record_id in zip(("mine", "other", None), ids, strict=True)
    }
    assert system.mock.stats()["calls"] == 0
    await worker.terminate()


async def test_what_is_not_there_is_told_in_a_sentence_and_changes_nothing(system: System) -> None:
    """Above the end, deleted, no such partition, an unread topic, the mark of a transaction, a foreign database."""
    placed = await system.produce([b"one", b"two"], keyed=False)
    at = placed[0].partition
    producer = AIOKafkaProducer(bootstrap_servers=system.kafka, transactional_id=system.topic)
    await producer.start()
    async with producer.transaction():
        marked = await producer.send_and_wait(system.topic, b"three", partition=(at + 1) % 6)
    await producer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    await admin.delete_records({TopicPartition(system.topic, at): RecordsToDelete(before_offset=placed[0].offset + 1)})
    await admin.close()
    cases = [
        ((at, 17, {}), r"does not exist yet: .* ends at \d+\."),
        ((at, placed[0].offset, {}), rf"was deleted: .* begins at {placed[0].offset + 1} now\."),
        ((6, 0, {}), "has no partition 6: it has 6, from 0"),
        ((at, 0, {"tokens_topic": "others"}), "No worker reads .*: name others"),
        ((marked.partition, marked.offset + 1, {}), "There is no record that a worker would read at .*none follows"),
        (
            (marked.partition, marked.offset, {"kafka_group_id": "others"}),
            f"serves the consumer group {system.topic}, not others",
        ),
    ]
    await system.rows("INSERT INTO consumer_group (group_id) VALUES ($1)", system.topic)
    for (partition, offset, changes), sentence in cases:
        with pytest.raises(ExpectedError, match=sentence):
            await _set_aside(system, partition, offset, **changes)
    assert await system.rows("SELECT * FROM outcomes") == []
    assert await read_letters(system.kafka, f"{system.topic}.dlq") == {}


async def test_a_crash_between_topic_and_row_is_mended_by_a_second_run(system: System) -> None:
    """Order of writes: with the database away nothing is produced; with it back, once for each run that came so far."""
    (at,) = await system.produce([b"poison"])
    away = set_aside(
        _settings(system), "postgresql://127.0.0.1:1/x", TopicPartition(system.topic, at.partition), at.offset, reason=""
    )
    with pytest.raises(ExpectedError, match="DATABASE_URL cannot be used"):
        await away
    runs = await asyncio.gather(*(_set_aside(system, at.partition, at.offset) for _ in range(2)))
    assert {done.outcome for done in runs} == {"dead_lettered"}
    assert await system.count("dead_lettered") == 1
    (letters,) = (await read_letters(system.kafka, f"{system.topic}.dlq")).values()
    assert 1 <= len(letters) <= 2


async def test_a_record_that_waits_for_its_next_try_is_set_aside_by_either_of_its_places(system: System) -> None:
    """By where it came from or by where its copy lies: the row is final, and the copy is not called when it is due."""
    await system.create_topics(retry_delay_minutes=0.1)
    system.mock.behave(rules=[{"pattern": "by .*", "behaviour": {"statuses": {"500": 1}}}])
    worker = system.start_worker()
    (origin,) = await system.produce([b"by its origin"])
    await system.wait_for(1, "retrying")
    (other,) = await system.produce([b"by its copy"])
    await system.wait_for(2, "retrying")
    offset = 1 if other.partition == origin.partition else 0
    retry_topic = f"{system.topic}.retry.6s"
    first = await _set_aside(system, origin.partition, origin.offset)
    settings = _settings(system)
    second = await set_aside(
        settings, system.database, TopicPartition(retry_topic, other.partition), offset, reason="poison"
    )
    assert [(done.written, done.record.token) for done in (first, second)] == [
        (True, "by its origin"),
        (True, "by its copy"),
    ]

    async def copies_are_settled() -> None:
        _, text = await worker.get("/status")
        assert json.loads(text)["unsettled"] == 0, text

    await eventually(copies_are_settled, timeout_seconds=20)  # when they are due, and not before
    rows = await system.rows("SELECT error_kind, attempt, source_topic FROM dead_letters")
    assert [tuple(row) for row in rows] == [("set_aside", 1, system.topic)] * 2
    assert system.mock.stats("?tokens=true")["calls_by_token"] == {"by its origin": 1, "by its copy": 1}
    await worker.terminate()
