"""docker-compose.yml keeps its promises, as far as they can be read off the file; no Docker is needed here."""

import re

import pytest
import yaml

from consumers.settings import WorkerSettings
from producer_api.cli import GRACE_SECONDS
from producer_api.settings import ApiSettings
from tests.support import compose
from tests.support.compose import ROOT, document, services

by_service = pytest.mark.parametrize("name", services())


# ---- Start, health and stop


@by_service
def test_a_service_is_healthy_or_done(name: str) -> None:
    """Whatever serves has a health check; what runs once is restarted by nobody."""
    service = services()[name]
    if name == "setup":
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert not {"curl", "nc"} & set(service["healthcheck"]["test"])


def test_workers_are_healthy_when_they_work() -> None:
    """Ready, not only alive; and a joiner has the time that it may take."""
    assert compose.health_url("workers")[1] == "/health/ready"
    assert compose.seconds(services()["workers"]["healthcheck"]["start_period"]) > WorkerSettings().start_deadline_seconds


def test_nothing_starts_before_what_it_needs() -> None:
    """Topics and tables stand when a process of ours starts; the workers stop before the API that they call."""
    needs = {name: each.get("depends_on", {}) for name, each in services().items()}
    ready = {"kafka": {"condition": "service_healthy"}, "postgres": {"condition": "service_healthy"}}
    done = {"setup": {"condition": "service_completed_successfully"}}
    assert needs["setup"] == ready
    assert needs["api"] == ready | done
    assert needs["workers"] == ready | done | {"mock-api": {"condition": "service_healthy"}}
    assert needs["lag-exporter"] == {"kafka": ready["kafka"], **done}


def test_a_stop_outlasts_the_drain() -> None:
    """Compose kills what is not gone by then; a worker may finish its calls and write the answers, the API its requests."""
    grace = {name: compose.seconds(each["stop_grace_period"]) for name, each in services().items()}
    assert grace["workers"] >= WorkerSettings().termination_grace_seconds > WorkerSettings().drain_limit_seconds
    assert grace["api"] > max(GRACE_SECONDS, ApiSettings().api_produce_timeout_seconds + 5)
    longest = WorkerSettings(provider_timeout_seconds=575)
    assert grace["workers"] >= longest.termination_grace_seconds
    assert "below 575" in compose.FILE.read_text("utf-8")


# ---- Confinement


@by_service
def test_a_container_may_do_little(name: str) -> None:
    """No root, no capability, nothing written but to a volume or to memory, and not all of the memory."""
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert str(service["user"]).split(":")[0] not in {"", "0", "root"}
    assert "mem_limit" in service
    assert not {"privileged", "network_mode", "pid", "ipc"} & set(service)


@by_service
def test_a_log_does_not_fill_the_disk(name: str) -> None:
    """It is kept in a few files of a limited size."""
    assert set(services()[name]["logging"]["options"]) == {"max-size", "max-file"}


@by_service
def test_an_image_is_pinned_or_built_here(name: str) -> None:
    """A version, no digest, nothing that moves between major versions; nothing is pulled that was built."""
    service = services()[name]
    if "build" in service:
        assert "image" not in service
        assert service["build"] == {"context": ".", "dockerfile": "infra/docker/Dockerfile"}
    else:
        assert re.fullmatch(r"[a-z/]+:v?\d+(\.\d+)*", service["image"])
    assert "pull_policy" not in service


def test_the_image_of_ours_loads_every_verb_that_a_container_runs() -> None:
    """Its build would fail on a verb that needs what is not in it."""
    text = (ROOT / "infra/docker/Dockerfile").read_text("utf-8")
    loaded = re.search(r"for verb in ([a-z -]+); do", text)
    assert loaded
    verbs = {each["command"][0] for each in services().values() if "build" in each and "command" in each}
    verbs |= set(re.findall(r"tokenflow (\S+)", services()["setup"]["entrypoint"][-1]))
    assert verbs >= {"serve", "work", "mock-api", "lag", "topics", "migrate"}
    assert verbs - set(loaded[1].split()) == set()


# ---- Data and files


def test_data_outlive_their_containers() -> None:
    """Kafka's, PostgreSQL's, Prometheus' and Grafana's lie on named volumes, each used once."""
    mounts = [mount.split(":")[0] for each in services().values() for mount in each.get("volumes", ())]
    named = [mount for mount in mounts if not mount.startswith(".")]
    assert sorted(named) == sorted(document()["volumes"]) == ["grafana", "kafka", "postgres", "prometheus"]


def test_files_of_the_checkout_are_mounted_to_be_read() -> None:
    """They exist, and no container writes into the checkout."""
    mounts = [mount.split(":") for each in services().values() for mount in each.get("volumes", ())]
    ours = [mount for mount in mounts if mount[0].startswith(".")]
    assert ours
    assert [mount for mount in ours if mount[2:] != ["ro"]] == []
    assert [mount[0] for mount in ours if not (ROOT / mount[0]).is_dir()] == []


def test_grafana_finds_its_dashboards() -> None:
    """Where its provisioning looks for them, they are mounted."""
    folder = ROOT / "infra/grafana/provisioning/dashboards"
    providers = [one for path in folder.glob("*.yml") for one in yaml.safe_load(path.read_text("utf-8"))["providers"]]
    targets = {mount.split(":")[1] for mount in services()["grafana"]["volumes"]}
    assert providers
    assert [one["options"]["path"] for one in providers if one["options"]["path"] not in targets] == []
