"""Which parts make up the stack, what each needs, and what is handed down to it.

The order of start follows from `needs`: Kafka and PostgreSQL side by side, topics and migrations each when its server
serves, then API and workers; the mock API needs nobody. A Kafka or PostgreSQL that the settings name is used, not started.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.kafka import LocalKafka
from infra.local.own_parts import Service, Step
from infra.local.parts import Kind, Part
from infra.local.postgres import LocalPostgres
from infra.local.probe import Endpoint
from infra.local.processes import Command
from infra.local.servers import Server
from infra.local.state import StateFolder
from infra.settings import LocalSettings

STEP_SECONDS: Final = 60.0
START_SECONDS: Final = 60.0
WORKER_START_SECONDS: Final = 120.0
"""A worker that joins waits for the drain of the others; it gives up by itself after 85 s, with a better sentence."""
STOP_SECONDS: Final = 20.0
WORKER_STOP_SECONDS: Final = 60.0
"""For a worker that does not say what its drain limit is; 40 s is the default one."""
WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


@dataclass(frozen=True, slots=True)
class Stack:
    """The parts in the order of the screen, and where Kafka and PostgreSQL are: ours, or what the settings name."""

    parts: Sequence[Part]
    kafka: LocalKafka | str
    postgres: LocalPostgres | str

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is."""
        return address_of(self.kafka)

    @property
    def database_url(self) -> str:
        """The database's URL; a local one has it once it is prepared."""
        return url_of(self.postgres)


class Builder:
    """Puts the stack of one folder together; starts nothing."""

    def __init__(self, settings: LocalSettings, *, workers: int, state: StateFolder, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._workers = workers
        self._state = state
        self._environment = environment
        self._host = WILDCARDS.get(settings.bind_address, settings.bind_address)
        self._kafka = settings.kafka_bootstrap_servers or self._local_kafka()
        url = settings.database_url
        self._postgres = self._local_postgres() if url is None else url.get_secret_value()

    def build(self) -> Stack:
        """List the parts."""
        servers = self._servers()
        steps = self._steps({server.name for server in servers})
        after = [*(server.name for server in servers), *(step.name for step in steps)]
        workers = [self._worker(number, after) for number in range(1, self._workers + 1)]
        return Stack([*servers, *steps, self._mock_api(), self._api(after), *workers], self._kafka, self._postgres)

    def endpoint(self, port: int) -> Endpoint:
        """Where a part of ours is reached from this machine."""
        return Endpoint(self._host, port)

    def _local_kafka(self) -> LocalKafka:
        return LocalKafka(
            self._state.kafka,
            self._settings.kafka_port,
            controller_port=self._settings.kafka_controller_port,
            log_path=self._state.logs / "kafka.log",
        )

    def _local_postgres(self) -> LocalPostgres:
        return LocalPostgres(self._state.postgres, self._settings.postgres_port, log_path=self._state.logs / "postgres.log")

    def _servers(self) -> list[Server]:
        servers = []
        if isinstance(self._kafka, LocalKafka):
            servers.append(Server(self._kafka, kind=Kind.KAFKA, address=self._kafka.bootstrap_servers))
        if isinstance(self._postgres, LocalPostgres):
            servers.append(Server(self._postgres, kind=Kind.POSTGRES, address=f"127.0.0.1:{self._postgres.port}"))
        return servers

    def _steps(self, servers: Collection[str]) -> list[Step]:
        return [
            Step(
                "topics",
                needs=[name for name in servers if name == LocalKafka.name],
                command=self._command("topics", ["topics", "create"], self._kafka_address),
                deadline_seconds=STEP_SECONDS,
            ),
            Step(
                "migrations",
                needs=[name for name in servers if name == LocalPostgres.name],
                command=self._command("migrations", ["migrate"], self._addresses),
                deadline_seconds=STEP_SECONDS,
            ),
        ]

    def _mock_api(self) -> Service:
        return Service(
            "mock API",
            kind=Kind.MOCK_API,
            needs=(),
            command=self._command("mock-api", ["mock-api"]),
            endpoint=self.endpoint(self._settings.mock_api_port),
            ready_path="/health/live",
            start_seconds=START_SECONDS,
            stop_seconds=STOP_SECONDS,
        )

    def _api(self, needs: Sequence[str]) -> Service:
        return Service(
            "API",
            kind=Kind.API,
            needs=needs,
            command=self._command("api", ["serve"], self._addresses),
            endpoint=self.endpoint(self._settings.api_port),
            ready_path="/health/ready",
            start_seconds=START_SECONDS,
            stop_seconds=STOP_SECONDS,
        )

    def _worker(self, number: int, needs: Sequence[str]) -> Service:
        return Service(
            f"worker {number}",
            kind=Kind.WORKER,
            needs=needs,
            command=self._command(f"worker-{number}", ["work"], lambda: self._worker_settings(number)),
            endpoint=self.endpoint(self._settings.worker_port + number),
            ready_path="/health/ready",
            start_seconds=WORKER_START_SECONDS,
            stop_seconds=WORKER_STOP_SECONDS,
        )

    def _command(
        self, log_name: str, verb: Sequence[str], handed_down: Callable[[], Mapping[str, str]] | None = None
    ) -> Command:
        """Run a verb of our own command line; -P, so that no file of the folder can take a module's name.

        `handed_down` is asked at each start: what the stack knows better than the environment.
        """
        return Command(
            argv=[sys.executable, "-P", "-m", "infra.cli", *verb],
            environment=lambda: {**self._environment, "PYTHONUNBUFFERED": "1", **(handed_down() if handed_down else {})},
            log_path=self._state.logs / f"{log_name}.log",
        )

    def _kafka_address(self) -> Mapping[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": address_of(self._kafka)}

    def _addresses(self) -> Mapping[str, str]:
        """Where Kafka and the database are; for what starts after both."""
        return {**self._kafka_address(), "DATABASE_URL": url_of(self._postgres)}

    def _worker_settings(self, number: int) -> Mapping[str, str]:
        mock_api = self.endpoint(self._settings.mock_api_port).url
        provider = self._settings.provider_url or f"{mock_api}/score/{{token}}"
        return {**self._addresses(), "PROVIDER_URL": provider, "WORKER_INDEX": str(number)}


def address_of(kafka: LocalKafka | str) -> str:
    """What KAFKA_BOOTSTRAP_SERVERS is, to use this Kafka."""
    return kafka if isinstance(kafka, str) else kafka.bootstrap_servers


def url_of(postgres: LocalPostgres | str) -> str:
    """What DATABASE_URL is, to use this database; a local one has it once it is prepared."""
    return postgres if isinstance(postgres, str) else postgres.database_url


def program() -> Path:
    """The path of our command line, as people type it."""
    return Path(sys.executable).parent / "tokenflow"
