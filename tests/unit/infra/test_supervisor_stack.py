from itertools import groupby
from pathlib import Path

from infra.local.own_parts import Service
from infra.local.parts import Kind
from infra.local.stack import Builder, Stack
from infra.local.state import StateFolder
from infra.settings import LocalSettings


def build(settings: LocalSettings, folder: Path, *, workers: int = 1) -> Stack:
    """Put a stack together; nothing is started."""
    return Builder(settings, workers=workers, state=StateFolder(folder), environment={"HOME": "/nowhere"}).build()


def test_parts_start_after_what_they_need(tmp_path: Path) -> None:
    """Topics after Kafka, migrations after PostgreSQL, API and workers after all of these, the mock API at once."""
    needs = {part.name: set(part.needs) for part in build(LocalSettings(), tmp_path, workers=2).parts}
    everything = {"Kafka", "PostgreSQL", "topics", "migrations"}
    assert needs == {
        "Kafka": set(),
        "PostgreSQL": set(),
        "topics": {"Kafka"},
        "migrations": {"PostgreSQL"},
        "mock API": set(),
        "API": everything,
        "worker 1": everything,
        "worker 2": everything,
    }


def test_parts_stop_from_the_source_of_work_to_its_store(tmp_path: Path) -> None:
    """API, then all workers side by side, mock API, Kafka, PostgreSQL."""
    parts = sorted(build(LocalSettings(), tmp_path, workers=2).parts, key=lambda part: part.kind)
    groups = [
        {part.name for part in group} for kind, group in groupby(parts, lambda part: part.kind) if kind is not Kind.STEP
    ]
    assert groups == [{"API"}, {"worker 1", "worker 2"}, {"mock API"}, {"Kafka"}, {"PostgreSQL"}]


def test_servers_that_the_settings_name_are_used_and_not_started(tmp_path: Path) -> None:
    """With both variables set no server is a part, nobody waits for one, and the URLs are handed on as they are."""
    settings = LocalSettings(kafka_bootstrap_servers="broker:9092", database_url="postgresql://db/x")
    stack = build(settings, tmp_path)
    assert [part.name for part in stack.parts] == ["topics", "migrations", "mock API", "API", "worker 1"]
    assert all(set(part.needs) <= {"topics", "migrations"} for part in stack.parts)
    assert (stack.bootstrap_servers, stack.database_url) == ("broker:9092", "postgresql://db/x")


def test_a_wildcard_address_is_asked_over_loopback(tmp_path: Path) -> None:
    """0.0.0.0 is where to listen, not where to connect to."""
    stack = build(LocalSettings(bind_address="0.0.0.0", api_port=8123), tmp_path)  # noqa: S104 - never bound here
    [api] = [part for part in stack.parts if part.kind is Kind.API]
    assert isinstance(api, Service)
    assert api.endpoint.url == "http://127.0.0.1:8123"
