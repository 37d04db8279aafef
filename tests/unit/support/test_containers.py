"""The choice of containers for a test run: what is wrong with it is said in a sentence, which needs no Docker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.containers import BackendError, are_wanted, running_kafka, running_postgres
from tests.support.processes import ROOT


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where no Docker engine listens."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.parametrize(("service", "image"), [(running_kafka, "apache/kafka:"), (running_postgres, "postgres:")])
def test_without_an_engine_the_sentence_says_what_to_do(no_engine: None, service: object, image: str) -> None:
    """It names the image that would have run, and the way without Docker."""
    assert callable(service)
    with pytest.raises(BackendError, match=f"needs a Docker engine that runs {image}.*leave TEST_BACKEND out"), service():
        pass


def test_a_run_that_asks_for_containers_fails_without_them(no_engine: None) -> None:
    """Every test that needs Kafka or PostgreSQL fails with the sentence alone; none is passed over."""
    done = _pytest("tests/integration/test_store.py", TEST_BACKEND="docker")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "passed" not in done.stdout
    assert "skipped" not in done.stdout
    assert "\nTEST_BACKEND=docker needs a Docker engine" in done.stdout
    assert "Traceback" not in done.stdout


def test_another_backend_is_refused() -> None:
    """A word that is misspelt is not taken for the default."""
    done = _pytest("tests/unit/support", TEST_BACKEND="dokcer")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "TEST_BACKEND=dokcer: use docker, or local" in done.stderr


@pytest.mark.parametrize(("value", "wanted"), [("docker", True), ("local", False), ("", False)])
def test_the_choice(value: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a table
    """An empty value is none."""
    monkeypatch.setenv("TEST_BACKEND", value)
    assert are_wanted() is wanted


def _pytest(target: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    given = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    return subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", target],
        cwd=ROOT,
        env={**given, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
