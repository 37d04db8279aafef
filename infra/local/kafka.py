"""A real Kafka broker on this machine: one KRaft node, its own controller, from jars, without scripts.

The broker runs with its folder as working directory and relative paths in `server.properties`, so no character of the
folder's path has to be escaped anywhere.
"""

import base64
import shutil
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from infra.local import artifacts
from infra.local.artifacts import Progress
from infra.local.errors import LocalStackError
from infra.local.guard import GuardedProcess
from infra.local.service import LocalService

HOST: Final = "127.0.0.1"
HEAP_MEGABYTES: Final = 512
FORMAT_SECONDS: Final = 60
STARTED_LINE: Final = b"Kafka Server started"
"""Written by Kafka 4.3 once every listener takes requests. An open port alone may be somebody else's."""
CLEAN_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8"}
"""UTF-8, or Java opens no jar below a folder with a non-ASCII name. Nothing of the user's, such as JAVA_TOOL_OPTIONS."""
LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",  # 350 lines of settings at each start
)

# The controller is its own quorum. `controller.quorum.voters` (KIP-595) and not the dynamic quorum of KIP-853: that one
# writes the controller's port into the data, and the port may differ from run to run.
# After kill -9 the controller refuses the broker until its old session has ended: 6 s, not Kafka's 9.
# Internal topics have 4 partitions, not 50: one node serves a few groups, and the first group waits for their creation.
PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
"""


def server_properties(*, port: int, controller_port: int, data: str) -> str:
    """Write the broker's settings; `data` is the data folder, relative to the broker's own."""
    return PROPERTIES.format(host=HOST, port=port, controller_port=controller_port, data=data)


def java_command(jars: Path, main_class: str, arguments: Sequence[str], *, jvm: Sequence[str] = ()) -> list[str]:
    """Build the command line that runs a class of Kafka's jars with this environment's Java."""
    return [str(artifacts.java_program()), *jvm, "-cp", f"{jars}/*", main_class, *arguments]


def as_cluster_id(number: uuid.UUID) -> str:
    """Write a UUID as Kafka does, in 22 characters."""
    return base64.urlsafe_b64encode(number.bytes).decode().rstrip("=")


def is_cluster_id(text: str) -> bool:
    """Say whether the format tool takes it: one in 64 begins with a dash and would be read as an option."""
    return not text.startswith("-")


def new_cluster_id() -> str:
    """Draw an id that the format tool takes."""
    while not is_cluster_id(drawn := as_cluster_id(uuid.uuid4())):
        pass
    return drawn


class LocalKafka(LocalService):
    """The broker of a stack. After kill -9 of it a start takes 8-15 s: the controller waits for the old session to end."""

    name = "Kafka"
    stop_signal = signal.SIGTERM
    ready_seconds = 90.0

    def __init__(self, folder: Path, port: int, *, controller_port: int, log_path: Path) -> None:
        super().__init__(folder, port, log_path=log_path)
        self.controller_port = controller_port
        self._jars: Path | None = None

    @property
    def bootstrap_servers(self) -> str:
        """What KAFKA_BOOTSTRAP_SERVERS is set to, to use this broker."""
        return f"{HOST}:{self.port}"

    def prepare(self, progress: Progress) -> None:
        """Install the jars, write the settings, and format the data folder once."""
        self.make_folder()
        self._jars = artifacts.install_jars(fallback=self.folder, progress=progress)
        self._write_properties("server.properties", data="data")
        if not (self.folder / "data").exists():
            progress("formatting the data folder")
            self._format(self._jars)

    def start(self) -> GuardedProcess:
        """Start the broker and return at once."""
        if self._jars is None:
            msg = "Kafka was not prepared."
            raise LocalStackError(msg)
        heap = f"{HEAP_MEGABYTES}m"
        jvm = (f"-Xms{heap}", f"-Xmx{heap}", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", *LOGGING)
        self._process = GuardedProcess.start(
            java_command(self._jars, "kafka.Kafka", ["server.properties"], jvm=jvm),
            env=CLEAN_ENVIRONMENT,
            log_path=self.log_path,
            cwd=self.folder,
            stop_signal=self.stop_signal,
        )
        return self._process

    def is_ready(self) -> bool:
        """Say whether the broker takes requests."""
        with self.log_path.open("rb") as log:
            log.seek(self.process.log_start)
            return STARTED_LINE in log.read()

    def _write_properties(self, name: str, *, data: str) -> None:
        text = server_properties(port=self.port, controller_port=self.controller_port, data=data)
        (self.folder / name).write_text(text)

    def _format(self, jars: Path) -> None:
        """Format beside, then rename: a `data` folder is always a whole one."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._write_properties("format.properties", data=fresh.name)
        cluster_id = new_cluster_id()
        arguments = ["format", "-t", cluster_id, "-c", "format.properties"]
        done = subprocess.run(  # noqa: S603 - our own Java and jars
            java_command(jars, "kafka.tools.StorageTool", arguments, jvm=("-XX:TieredStopAtLevel=1",)),
            cwd=self.folder,
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=FORMAT_SECONDS,
        )
        if done.returncode != 0:
            msg = f"Kafka's data folder cannot be formatted:\n{done.stdout}{done.stderr}"
            raise LocalStackError(msg)
        (self.folder / "format.properties").unlink()
        fresh.rename(self.folder / "data")
