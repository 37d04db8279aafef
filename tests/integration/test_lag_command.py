"""`tokenflow lag` as a user runs it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition

from tests.support.lag import commit_offsets, run_tokenflow
from tests.support.processes import ROOT
from tests.support.services import free_ports
from tests.support.waiting import eventually
from topics.provision import create_topics
from topics.settings import KafkaSettings


async def test_the_command_shows_a_group_as_a_table_and_as_json(kafka: str, topic_base: str) -> None:
    """Of the group that is asked for, with the topics that there are; the two agree."""
    await create_topics(KafkaSettings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, tokens_partitions=2))
    await commit_offsets(kafka, topic_base, {TopicPartition(topic_base, 1): 0})
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "TOKENS_TOPIC": topic_base}
    table, as_json = await asyncio.gather(
        asyncio.to_thread(run_tokenflow, "lag", "--group", topic_base, **settings),
        asyncio.to_thread(run_tokenflow, "lag", "--group", topic_base, "--json", **settings),
    )
    assert (table.returncode, table.stderr, as_json.returncode) == (0, "", 0)
    head, *rows, totals = table.stdout.splitlines()
    assert head.split() == ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "LAG-SECONDS"]
    assert [row.split()[1:] for row in rows] == [
        [topic_base, "0", "-", "0", "0", "0.000"],
        [topic_base, "1", "0", "0", "0", "0.000"],
        [f"{topic_base}.retry.5m", "0", "-", "0", "0", "0.000"],
        [f"{topic_base}.retry.5m", "1", "-", "0", "0", "0.000"],
    ]
    assert totals == "total lag 0 in 4 partitions, oldest 0.000 s, members 0, 3 partitions never committed"
    found = json.loads(as_json.stdout)
    assert (found["group"], found["lag"], found["members"], len(found["partitions"])) == (topic_base, 0, 0, 4)


async def test_what_is_wrong_is_one_sentence_and_an_exit_code(kafka: str, topic_base: str) -> None:
    """A broker that is away, a topic that is missing, no address at all, options that do not go together."""
    (port,) = free_ports(1)
    nobody, here = f"127.0.0.1:{port}", {"KAFKA_BOOTSTRAP_SERVERS": kafka, "TOKENS_TOPIC": topic_base}
    away, missing, nowhere = await asyncio.gather(
        asyncio.to_thread(run_tokenflow, "lag", KAFKA_BOOTSTRAP_SERVERS=nobody),
        asyncio.to_thread(run_tokenflow, "lag", **here),
        asyncio.to_thread(run_tokenflow, "lag"),
    )
    for done, code, words in (
        (away, 1, f"KAFKA_BOOTSTRAP_SERVERS={nobody} cannot be reached"),
        (missing, 1, f"There is no topic {topic_base}: run `tokenflow topics create`"),
        (nowhere, 2, "Which Kafka?"),
    ):
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1), done.stderr
        assert words in done.stderr
    twofold = await asyncio.to_thread(run_tokenflow, "lag", "--listen", "--json", **here)
    assert (twofold.returncode, "leave --json" in twofold.stderr) == (2, True), twofold.stderr


def start_watch(printed: Path, **settings: str) -> "subprocess.Popen[bytes]":
    """Watch with ten readings a second, into a file."""
    with printed.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "infra.cli", "lag", "--json", "--watch", "0.1"],
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
            stdout=out,
            stderr=out,
        )


async def test_watching_goes_on_until_ctrl_c(kafka: str, topic_base: str, tmp_path: Path) -> None:
    """A reading a line as JSON, each taken anew; Ctrl-C ends it without a traceback."""
    settings = KafkaSettings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, tokens_partitions=2)
    await create_topics(settings)
    printed = tmp_path / "printed.txt"
    watching = start_watch(printed, KAFKA_BOOTSTRAP_SERVERS=kafka, TOKENS_TOPIC=topic_base)
    try:

        def lags() -> set[int]:
            whole_lines = printed.read_text().rpartition("\n")[0].splitlines()
            return {json.loads(line)["lag"] for line in whole_lines}

        def shows_nothing_waiting() -> None:
            assert lags() == {0}

        def shows_the_record() -> None:
            assert lags() == {0, 1}

        await eventually(shows_nothing_waiting, timeout_seconds=20)
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()
        await producer.send_and_wait(topic_base, b"1")
        await producer.stop()
        await eventually(shows_the_record, timeout_seconds=20)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
        assert lags() == {0, 1}
    finally:
        watching.kill()
        watching.wait(20)
