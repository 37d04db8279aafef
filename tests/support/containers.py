"""The Kafka and the PostgreSQL of a test run as containers: what TEST_BACKEND=docker chooses.

Image, settings and command are those of docker-compose.yml, so the tests run on what its users run. Ports are free ones of
this machine; everything is removed when the block ends.
"""

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from docker.errors import DockerException  # type: ignore[import-untyped]  # it ships no types
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ExecWaitStrategy, LogMessageWaitStrategy
from testcontainers.core.waiting_utils import WaitStrategy

from tests.support.compose import environment, image_of, services
from tests.support.services import free_ports

START_SECONDS = 120
ATTEMPTS = 3
"""A port that was free can be taken by somebody else before the container has it."""


class BackendError(Exception):
    """There is no Docker engine to run the tests on, or it cannot run them; the text says what to do."""


def are_wanted() -> bool:
    """Say whether this run asks for containers.

    Raises:
        pytest.UsageError: TEST_BACKEND is neither local, which is the default, nor docker.

    """
    backend = os.environ.get("TEST_BACKEND") or "local"
    if backend not in {"local", "docker"}:
        raise pytest.UsageError(f"TEST_BACKEND={backend}: use docker, or local for the Kafka and PostgreSQL of packages.")
    return backend == "docker"


@contextmanager
def or_fail() -> Iterator[None]:
    """Fail the test that asked with the sentence alone."""
    try:
        yield
    except BackendError as error:
        pytest.fail(str(error), pytrace=False)


@contextmanager
def running_kafka() -> Iterator[str]:
    """Run Kafka until the block ends; its bootstrap servers."""
    with _running("kafka", 9092, LogMessageWaitStrategy("Kafka Server started")) as address:
        yield address


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run PostgreSQL until the block ends; the URL of a database whose user may make others."""
    given = environment("postgres", {})
    user, password, name = given["POSTGRES_USER"], quote(given["POSTGRES_PASSWORD"]), given["POSTGRES_DB"]
    ready = ExecWaitStrategy(["pg_isready", "--host=127.0.0.1", f"--username={user}", f"--dbname={name}"])
    with _running("postgres", 5432, ready) as address:
        yield f"postgresql://{user}:{password}@{address}/{name}"


@contextmanager
def _running(service: str, port: int, ready: WaitStrategy) -> Iterator[str]:
    """Run a service of docker-compose.yml alone; host:port by which this process reaches its inner port."""
    container, address = _started(service, port, ready)
    try:
        yield address
    finally:
        container.stop()


def _started(service: str, port: int, ready: WaitStrategy) -> tuple[DockerContainer, str]:
    failure = ""
    for _ in range(ATTEMPTS):
        try:
            container, address = _make(service, port)
            return _start(container, ready), address
        except DockerException as error:
            failure = str(error)
        if "already allocated" not in failure and "already in use" not in failure:
            break
    _forget_sockets()
    raise BackendError(
        f"TEST_BACKEND=docker needs a Docker engine that runs {image_of(service)} ({failure}): start one, "
        "or leave TEST_BACKEND out to test on the Kafka and PostgreSQL of packages."
    )


def _start(container: DockerContainer, ready: WaitStrategy) -> DockerContainer:
    """Start it and wait until it serves; it is gone if this raises."""
    try:
        return container.waiting_for(ready.with_startup_timeout(START_SECONDS)).start()
    except BaseException:
        container.stop()
        raise


def _forget_sockets() -> None:
    """Collect what Docker's client leaves open when it reaches nobody: later, pytest would take it for a test's own leak."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _make(service: str, port: int) -> tuple[DockerContainer, str]:
    """Describe a container that is published on a port chosen beforehand: Kafka has to tell it to its clients."""
    container = DockerContainer(image_of(service), hostname=service)
    host = container.get_docker_client().host().replace("localhost", "127.0.0.1")
    (outer,) = free_ports(1)
    container.with_envs(**environment(service, {"KAFKA_ADVERTISED_HOST": host, "KAFKA_PORT": str(outer)}))
    container.with_bind_ports(port, outer)
    if "command" in services()[service]:
        container.with_command(services()[service]["command"])
    return container, f"{host}:{outer}"
