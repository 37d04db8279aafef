"""The choice of containers for a test run: what is wrong with it is said in a sentence, which needs no Docker."""

from pathlib import Path

import pytest

from tests.support.containers import BackendError, are_wanted, or_fail, running_kafka, running_postgres


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


def test_a_test_that_asks_for_containers_fails_with_the_sentence_alone(no_engine: None) -> None:
    """It fails, and is not skipped; and no socket of Docker's client is left for pytest to complain about later."""
    with pytest.raises(pytest.fail.Exception, match=r"^TEST_BACKEND=docker needs") as failed, or_fail(), running_postgres():
        pass
    assert failed.value.pytrace is False


@pytest.mark.parametrize(("value", "wanted"), [("docker", True), ("local", False), ("", False)])
def test_the_choice(value: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a table
    """An empty value is none."""
    monkeypatch.setenv("TEST_BACKEND", value)
    assert are_wanted() is wanted


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that is misspelt is not taken for the default; tests/conftest.py asks before any test runs."""
    monkeypatch.setenv("TEST_BACKEND", "dokcer")
    with pytest.raises(pytest.UsageError, match="TEST_BACKEND=dokcer: use docker, or local"):
        are_wanted()
