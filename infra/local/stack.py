"""Which parts make up the stack, what each needs, and what is handed down to it.

The order of start follows from `needs`: Kafka and PostgreSQL side by side, topics and migrations each when its server
serves, then API and workers; the mock API needs nobody. A Kafka or PostgreSQL that the settings name is used, not started.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.kafka import LocalKafka
from infra.local.parts import Kind, Part
from infra.local.postgres import LocalPostgres
from infra.local.probe import Endpoint
from infra.local.processes import Command
from infra.local.servers import Server
from infra.local.services import Service, Step
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
    """The parts in the order of the screen, and where Kafka and PostgreSQL are."""

    parts: Sequence[Part]
    kafka: str
    postgres: LocalPostgres | str

    @property
    def database_url(self) -> str:
        """The database's URL; a local one has it once it is prepared."""
        return self.postgres if isinstance(self.postgres, str) else self.postgres.database_url


class Builder:
    """Puts the stack of one folder together; starts nothing."""

    def __init__(self, settings: LocalSettings, *, workers: int, state: StateFolder, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._workers = workers
        self._state = state
        self._environment = environment
        self._host = WILDCARDS.get(settings.bind_address, settings.bind_address)

    def build(self) -> Stack:
        """List the parts."""
        servers: list[Server] = []
        kafka, postgres = self._kafka(servers), self._postgres(servers)
        self._stack = Stack([], kafka, postgres)
        names = {server.name for server in servers}
        steps = [
            Step(
                "topics",
                needs=sorted(names & {"Kafka"}),
                command=self._command("topics", ["topics", "create"], self._kafka_address),
                deadline_seconds=STEP_SECONDS,
            ),
            Step(
                "migrations",
                needs=sorted(names & {"PostgreSQL"}),
                command=self._command("migrations", ["migrate"], self._addresses),
                deadline_seconds=STEP_SECONDS,
            ),
        ]
        after = [*sorted(names), *(step.name for step in steps)]
        workers = [self._worker(number, after) for number in range(1, self._workers + 1)]
        self._stack = Stack([*servers, *steps, self._mock_api(), self._api(after), *workers], kafka, postgres)
        return self._stack

    def endpoint(self, port: int) -> Endpoint:
        """Where a part of ours is reached from this machine."""
        return Endpoint(self._host, port)

    def _kafka(self, servers: list[Server]) -> str:
        given = self._settings.kafka_bootstrap_servers
        if given is not None:
            return given
        kafka = LocalKafka(
            self._state.kafka,
            self._settings.kafka_port,
            controller_port=self._settings.kafka_controller_port,
            log_path=self._state.logs / "kafka.log",
        )
        servers.append(Server(kafka, kind=Kind.KAFKA, address=kafka.bootstrap_servers))
        return kafka.bootstrap_servers

    def _postgres(self, servers: list[Server]) -> LocalPostgres | str:
        given = self._settings.database_url
        if given is not None:
            return given.get_secret_value()
        postgres = LocalPostgres(
            self._state.postgres, self._settings.postgres_port, log_path=self._state.logs / "postgres.log"
        )
        servers.append(Server(postgres, kind=Kind.POSTGRES, address=f"127.0.0.1:{self._settings.postgres_port}"))
        return postgres

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
        return {"KAFKA_BOOTSTRAP_SERVERS": self._stack.kafka}

    def _addresses(self) -> Mapping[str, str]:
        """Where Kafka and the database are; for what starts after both."""
        return {**self._kafka_address(), "DATABASE_URL": self._stack.database_url}

    def _worker_settings(self, number: int) -> Mapping[str, str]:
        mock_api = self.endpoint(self._settings.mock_api_port).url
        provider = self._settings.provider_url or f"{mock_api}/score/{{token}}"
        return {**self._addresses(), "PROVIDER_URL": provider, "WORKER_INDEX": str(number)}


def program() -> Path:
    """The path of our command line, as people type it."""
    return Path(sys.executable).parent / "tokenflow"
