"""The local Kafka: data, ports, kill -9, and Kafka's own tools."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.local.errors import LocalStackError
from infra.local.kafka import LocalKafka
from tests.support.services import free_ports, make_kafka, running, started

TOOL_SECONDS = 60
CODES = (0, 143)
"""A stop in good order: Java ends with 128 + 15 after SIGTERM."""


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """A folder whose path has spaces, commas, non-ASCII letters and 200 characters, below one that only we enter."""
    folder = tmp_path / "private" / ("a long, long name with spaces, \u00fc " + "x" * 100)
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    return folder


async def write(servers: str, topic: str, values: Sequence[bytes]) -> None:
    """Write records that Kafka has acknowledged when this returns."""
    async with AIOKafkaProducer(bootstrap_servers=servers, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def read(servers: str, topic: str, count: int) -> list[bytes | None]:
    """Read the first records of partition 0."""
    async with AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value for _ in range(count)]


async def make_topic(servers: str, topic: str) -> None:
    """Make a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


def tool(*arguments: str, stdin: str = "", servers: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run `tokenflow kafka ...` as people do, with KAFKA_BOOTSTRAP_SERVERS set or not."""
    environment = {**os.environ} | ({} if servers is None else {"KAFKA_BOOTSTRAP_SERVERS": servers})
    return subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "infra.cli", "kafka", *arguments],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=TOOL_SECONDS,
    )


async def test_records_survive_a_restart_on_other_ports_and_kill_9(odd_folder: Path) -> None:
    """Situation: a broker in an awkward folder. Fault: a stop, other ports, then SIGKILL. Must hold: every record."""
    with running(lambda: make_kafka(odd_folder)) as broker:
        await make_topic(broker.bootstrap_servers, "kept")
        await write(broker.bootstrap_servers, "kept", [b"1"])
        first_port = broker.port
    assert broker.process.poll() in CODES

    broker = started(lambda: make_kafka(odd_folder))
    assert broker.port != first_port
    await write(broker.bootstrap_servers, "kept", [b"2"])
    broker.process.kill()
    assert broker.process.wait(10) == -signal.SIGKILL

    with running(lambda: make_kafka(odd_folder)) as broker:
        assert await read(broker.bootstrap_servers, "kept", 2) == [b"1", b"2"]


def test_a_half_made_data_folder_is_made_anew(tmp_path: Path) -> None:
    """A format that was killed leaves `data.new`; nobody takes it for data."""
    (tmp_path / "kafka" / "data.new").mkdir(parents=True)
    (tmp_path / "kafka" / "data.new" / "rubbish").write_text("")
    broker = make_kafka(tmp_path)
    broker.prepare(lambda _: None)
    meta = (tmp_path / "kafka" / "data" / "meta.properties").read_text()
    broker.prepare(lambda _: None)
    assert (tmp_path / "kafka" / "data" / "meta.properties").read_text() == meta
    assert not (tmp_path / "kafka" / "data.new").exists()


def test_a_broker_that_cannot_start_says_why(tmp_path: Path, kafka: str) -> None:
    """The port of another broker: the last lines of the log are in the error, and nothing is left running."""
    taken = int(kafka.rpartition(":")[2])
    broker = LocalKafka(tmp_path, taken, controller_port=free_ports(1)[0], log_path=tmp_path / "kafka.log")
    broker.prepare(lambda _: None)
    process = broker.start()
    with pytest.raises(LocalStackError, match=r"Kafka ended with exit code 1 while starting(?s:.)*kafka\.log"):
        broker.wait_ready()
    assert not psutil.pid_exists(process.pid)


async def test_it_listens_on_this_machine_alone(kafka: str, tmp_path: Path) -> None:
    """No port of the broker is open to the network."""
    with running(lambda: make_kafka(tmp_path)) as broker:
        listening = {
            each.laddr for each in psutil.Process(broker.process.pid).net_connections("tcp") if each.status == "LISTEN"
        }
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {broker.port, broker.controller_port}


def test_lines_of_the_console_producer_come_out_of_the_console_consumer(kafka: str, topic_base: str) -> None:
    """Standard input and output are the tool's own; the address is ours when none is given."""
    made = tool("topics", "--create", "--topic", topic_base, "--partitions", "3", servers=kafka)
    assert made.returncode == 0, made.stderr
    sent = tool("console-producer", "--topic", topic_base, stdin="1234\n007\n", servers=kafka)
    assert sent.returncode == 0, sent.stderr
    options = ["--topic", topic_base, "--from-beginning", "--max-messages", "2", "--timeout-ms", "30000"]
    got = tool("console-consumer", *options, "--bootstrap-server", kafka)
    assert sorted(got.stdout.split()) == ["007", "1234"], got.stderr


def test_the_exit_code_of_a_tool_is_its_own(kafka: str, topic_base: str) -> None:
    """And so is what it says."""
    done = tool("topics", "--describe", "--topic", topic_base, servers=kafka)
    assert done.returncode == 1
    assert topic_base in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["cluster", "cluster-id"], ["features", "describe"], ["consumer-groups", "--list"]])
def test_the_address_is_put_where_each_tool_takes_it(kafka: str, arguments: list[str]) -> None:
    """Before or behind the subcommand."""
    done = tool(*arguments, servers=kafka)
    assert done.returncode == 0, done.stderr + done.stdout


def test_without_any_address_the_sentence_says_how_to_give_one() -> None:
    """No stack in this folder, nothing set."""
    done = tool("topics", "--list")
    assert done.returncode == 2
    assert done.stderr.startswith("Which Kafka?")


def test_a_signal_ends_the_tool_itself(kafka: str, topic_base: str) -> None:
    """The tool takes the command's place: no process stands between it and a signal.

    SIGTERM, not SIGINT: where the tests themselves were started in the background of a shell, SIGINT is ignored, and Java
    keeps it so.
    """
    assert tool("topics", "--create", "--topic", topic_base, servers=kafka).returncode == 0
    command = [sys.executable, "-m", "infra.cli", "kafka", "console-consumer", "--topic", topic_base, "--from-beginning"]
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [*command, "--bootstrap-server", kafka], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert tool("console-producer", "--topic", topic_base, stdin="7\n", servers=kafka).returncode == 0
        assert process.stdout is not None
        assert process.stdout.readline() == "7\n"
        assert psutil.Process(process.pid).name() == "java"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=TOOL_SECONDS)
        assert process.returncode == 128 + signal.SIGTERM, said
    finally:
        process.kill()
        process.communicate(timeout=TOOL_SECONDS)


def test_the_environment_of_the_running_stack_is_for_eval(kafka: str) -> None:
    """Nothing runs from this folder, so the variables that are set are what is known."""
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "DATABASE_URL": "postgresql://u:a b$c'd@127.0.0.1/d"}
    script = 'eval "$("$0" -m infra.cli env)"; "$0" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(  # noqa: S603 - our own command line
        ["/bin/sh", "-c", script, sys.executable],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=TOOL_SECONDS,
    )
    found = json.loads(done.stdout)
    assert [found[name] for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL")] == [kafka, environment["DATABASE_URL"]]
