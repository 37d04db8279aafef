"""Gives each scenario its world, and shows what came of it as it goes. FAILURE_SEED=N repeats its random moments."""

import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.servers import Place, Servers, running_servers
from tests.support.world import SMOKE, World
from tests.support.worlds import running_world

GIVEN_SEED = os.environ.get("FAILURE_SEED")  # read before the tests clear the environment
TIMEOUT_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give scenarios the time that brokers and session timeouts take."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Leave out the dot of a scenario that passed: its line says more."""
    passed = report.when == "call" and report.passed and report.nodeid.startswith("tests/failure/")
    return ("passed", "", "PASSED") if passed else None


@pytest.fixture(scope="session")
def servers(clear_environment: None, services_folder: Path) -> Iterator[Servers]:
    """A Kafka and a PostgreSQL that may be broken."""
    folder = services_folder / "breakable"
    folder.mkdir()
    with running_servers(folder) as running:
        yield running


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """The servers that all tests share, or the breakable ones for a scenario that is marked so."""
    if getattr(request.function, "breaks_servers", False):
        breakable: Servers = request.getfixturevalue("servers")
        return breakable.place
    names = ("kafka", "database_url", "template_database")
    return Place(*(request.getfixturevalue(name) for name in names))


@pytest.fixture
async def world(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> AsyncIterator[World]:
    """The world of one scenario, at the size of the smoke set."""
    seed = random.randrange(2**32) if GIVEN_SEED is None else int(GIVEN_SEED)
    scenario = request.path.stem.removeprefix("test_").replace("_", " ")
    print(f"FAILURE_SEED={seed}")
    async with running_world(place, scenario=scenario, seed=seed, size=SMOKE, folder=tmp_path) as running:
        yield running
        print(running.log_tails())  # pytest shows it where the test failed
        told = [str(running.result or f"seed {seed}: FAILED before its end"), *running.notes]
        _show(request, "\n    ".join([scenario, *told]))


def _show(request: pytest.FixtureRequest, line: str) -> None:
    """Write past pytest's capturing, as the scenario ends."""
    plugins = request.config.pluginmanager
    reporter, capture = plugins.getplugin("terminalreporter"), plugins.getplugin("capturemanager")
    if reporter is not None and capture is not None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(line)
