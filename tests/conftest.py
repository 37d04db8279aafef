"""Fixtures that every tier may ask for; the work is done in tests/support."""

import os
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from tests.support import containers, services
from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.system import System, running_system

KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "LANG", "TZ", "CI", "VIRTUAL_ENV")
KEPT_PREFIXES = (
    "TEST_",  # what names the services of a test run
    "LC_", "XDG_", "PYTHON", "PYTEST_", "COV_", "COVERAGE_",
    "DOCKER_", "TESTCONTAINERS_",
    "SSL_", "REQUESTS_", "CURL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Keep Hypothesis' examples beside the project (tests run in a folder of their own), and Ctrl-C as it is.

    A run that was started in the background of a shell has SIGINT ignored, and so would every process that it starts.
    """
    containers.are_wanted()  # a wrong TEST_BACKEND is told before any test runs
    set_hypothesis_home_dir(config.rootpath / ".hypothesis")
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def clear_environment() -> Iterator[None]:
    """No setting of the user reaches a test: neither a variable (KAFKA_..., DATABASE_URL) nor ./.env."""
    with tempfile.TemporaryDirectory(prefix="tokenflow-tests-") as folder, pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name not in KEPT_VARIABLES and not name.startswith(KEPT_PREFIXES):
                patch.delenv(name)
        patch.chdir(folder)
        yield


@pytest.fixture(scope="session")
def services_folder() -> Iterator[Path]:
    """Where the services of this run keep their data and logs."""
    with tempfile.TemporaryDirectory(prefix="tokenflow-services-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def kafka(clear_environment: None, services_folder: Path) -> Iterator[str]:
    """Bootstrap servers of a real Kafka. A broker that cannot be had fails the test."""
    given = os.environ.get("TEST_KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
    elif containers.are_wanted():
        with containers.or_fail(), containers.running_kafka() as address:
            yield address
    else:
        with services.running(lambda: services.make_kafka(services_folder)) as broker:
            yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def database_url(clear_environment: None, services_folder: Path) -> Iterator[str]:
    """URL of a real PostgreSQL, with the right to make databases; tests use `database`, a clean one of their own."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
    elif containers.are_wanted():
        with containers.or_fail(), containers.running_postgres() as url:
            yield url
    else:
        with services.running(lambda: services.make_postgres(services_folder)) as server:
            yield server.database_url


@pytest.fixture(scope="session")
def template_database(database_url: str) -> Iterator[str]:
    """Name of a database built once by the real migrations."""
    name = services.run_apart(lambda: services.create_template(database_url))
    yield name
    services.run_apart(lambda: services.drop_database(database_url, name))


@pytest.fixture
async def database(database_url: str, template_database: str) -> AsyncIterator[str]:
    """URL of a fresh database with the real schema, for one test alone."""
    name = await services.clone_database(database_url, template_database)
    yield services.with_database(database_url, name)
    await services.drop_database(database_url, name)


@pytest.fixture
def topic_base() -> str:
    """Base name of topics (and groups) that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def mock_process(tmp_path: Path) -> Iterator[MockProcess]:
    """The mock API as a process of this test's own, answering at once."""
    with running_mock_api(tmp_path) as mock:
        mock.behave()
        yield mock


@pytest.fixture
async def system(
    kafka: str, database: str, topic_base: str, mock_process: MockProcess, tmp_path: Path
) -> AsyncIterator[System]:
    """Topics, group, database and mock API for one scenario; it starts workers as it needs them."""
    async with running_system(
        kafka=kafka, database=database, topic_base=topic_base, mock=mock_process, folder=tmp_path
    ) as running:
        yield running
