"""docker-compose.yml: every variable has a default, every setting reaches its process, every address is the right one."""

import io
import re
from collections.abc import Iterator, Mapping

import dotenv
import pytest
import yaml
from pydantic_settings import BaseSettings

from consumers.settings import WorkerSettings
from infra.docker.settings import ComposeSettings
from infra.lag.settings import LagSettings
from infra.lint.settings_table import all_settings, settings_classes, variables, written
from infra.postgres.settings import MigrateSettings
from mock_api.settings import MockApiSettings
from producer_api.settings import ApiSettings
from tests.support import compose
from tests.support.compose import ROOT, document, environment, interpolated, services
from tests.support.users_env import USERS_BLOCK
from topics.settings import KafkaSettings

PROCESSES: Mapping[str, tuple[type[BaseSettings], ...]] = {
    "setup": (KafkaSettings, MigrateSettings),
    "api": (ApiSettings,),
    "workers": (WorkerSettings,),
    "mock-api": (MockApiSettings,),
    "lag-exporter": (LagSettings,),
}
"""Service -> the settings classes that its process loads."""
NOT_HANDED_ON = {
    "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "KAFKA_SSL_CAFILE",
    "KAFKA_REPLICATION_FACTOR",         # the broker of this file is one, and open inside of its network
    "KAFKA_GROUP_INSTANCE_ID",          # an id each: the replicas of a service have the same environment
}  # fmt: skip
"""Settings that can have no other value here."""
ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "no .env": {},
    "the users' block": {name: value or "" for name, value in dotenv.dotenv_values(stream=io.StringIO(USERS_BLOCK)).items()},
    "settings of make up": {"BIND_ADDRESS": "192.0.2.1", "API_PORT": "8080", "WORKER_PORT": "9200", "LAG_EXPORTER_PORT": "1",
                            "MOCK_API_PORT": "8181", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
                            "DATABASE_URL": "postgresql://someone@127.0.0.1/else"},
}  # fmt: skip

by_service = pytest.mark.parametrize("name", services())
by_environment = pytest.mark.parametrize("given", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


@pytest.fixture(autouse=True)
def _no_variable_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in all_settings(settings_classes()):
        monkeypatch.delenv(setting.name, raising=False)


def _texts(node: object) -> Iterator[str]:
    """Every string below a node of the document, keys included."""
    match node:
        case str():
            yield node
        case dict():
            for key, value in node.items():
                yield from _texts(key)
                yield from _texts(value)
        case list():
            for value in node:
                yield from _texts(value)
        case _:
            pass


def _load(service: str, given: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> list[BaseSettings]:
    """Load the settings of a service's process as its container would."""
    for name, value in environment(service, given).items():
        monkeypatch.setenv(name, value)
    return [cls() for cls in PROCESSES[service]]


# ---- Variables


def test_every_variable_has_a_default() -> None:
    """A fresh clone has no .env: nothing is left empty, and nothing is asked for."""
    found = [each for text in _texts(document()) for each in compose.variables(text)]
    assert found
    assert [each.name for each in found if each.default is None] == []
    assert not any("$" in interpolated(text, {}) for text in _texts(document()))


def test_the_variables_are_the_documented_ones() -> None:
    """README and .env.example name each, with the default that holds; what the mock API stands in for has none."""
    used = {each.name: each.default for text in _texts(document()) for each in compose.variables(text)}
    documented = {name: written(field.default) for name, field in variables(ComposeSettings).items()}
    assert used | {"PROVIDER_URL": ""} == documented
    assert used["PROVIDER_URL"] == "http://mock-api:8100/score/{token}"


def test_a_value_stands_where_its_variable_did() -> None:
    """The reader of this file's own tests, on braces inside of a default and a value that is empty."""
    text = "a ${X:-b/{t}} ${Y:-c} ${Z:-d}"
    assert interpolated(text, {"Y": "e", "Z": ""}) == "a b/{t} e d"


# ---- What each process is given


@pytest.mark.parametrize("name", PROCESSES)
def test_every_setting_of_a_process_reaches_it(name: str) -> None:
    """Set in .env or in the shell, it is handed on; what is not can have one value only."""
    read = {variable for cls in PROCESSES[name] for variable in variables(cls)}
    declared = set(services()[name]["environment"])
    assert read - declared - NOT_HANDED_ON == set()
    assert declared - read - {"PGPASSWORD"} - set(variables(KafkaSettings)) == set()


@by_environment
@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_takes_its_settings(name: str, given: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts, and it listens on every address of its container whatever the ports are published on."""
    for settings in _load(name, given, monkeypatch):
        values = settings.model_dump()
        assert values.get("bind_address", "0.0.0.0") == "0.0.0.0"  # noqa: S104 - inside of a container
        assert values.get("kafka_bootstrap_servers", "kafka:19092") == "kafka:19092"


def test_the_users_numbers_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other numbers than the defaults, to see that they do."""
    given = {"WORKER_CONCURRENCY": "7", "QUEUE_BATCH_SIZE": "3", "RETRY_DELAY_MINUTES": "0.05"}
    (settings,) = _load("workers", given, monkeypatch)
    assert isinstance(settings, WorkerSettings)
    assert (settings.slots, settings.retry_topic) == (21, "tokens.retry.3s")


def test_the_password_is_the_databases() -> None:
    """Whatever characters it has: it is in no URL."""
    given = {"POSTGRES_PASSWORD": "p@ss/w:rd"}
    assert environment("postgres", given)["POSTGRES_PASSWORD"] == "p@ss/w:rd"
    for name in ("setup", "api", "workers"):
        assert environment(name, given)["PGPASSWORD"] == "p@ss/w:rd"
        assert "@postgres:5432/tokenflow" in environment(name, given)["DATABASE_URL"]


# ---- Ports and addresses


@by_service
def test_ports_are_published_on_this_machine_alone(name: str) -> None:
    """Unless BIND_ADDRESS says otherwise; each on a port that can be chosen."""
    for address, port, _ in compose.published(name):
        assert address == "${BIND_ADDRESS:-127.0.0.1}"
        assert re.fullmatch(r"\$\{[A-Z_]+_PORT:-\d+\}", port)


@pytest.mark.parametrize("name", [each for each in PROCESSES if each != "setup"])
def test_a_process_listens_where_others_look_for_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its health check, the published port, and its own settings name one port."""
    (settings,) = _load(name, {}, monkeypatch)
    match settings:
        case WorkerSettings():
            port = settings.health_port
        case ApiSettings():
            port = settings.api_port
        case MockApiSettings():
            port = settings.mock_api_port
        case LagSettings():
            port = settings.lag_exporter_port
        case _:
            raise AssertionError(settings)
    assert compose.health_url(name)[0] == port
    assert all(inner == port for _, _, inner in compose.published(name))


def test_clients_are_told_an_address_that_reaches_kafka() -> None:
    """Inside of the network its name, outside of it the port that is published."""
    kafka = environment("kafka", {"KAFKA_PORT": "9095", "KAFKA_ADVERTISED_HOST": "example.net"})
    assert kafka["KAFKA_ADVERTISED_LISTENERS"] == "NETWORK://kafka:19092,HOST://example.net:9095"
    listeners = dict(each.split("://") for each in kafka["KAFKA_LISTENERS"].split(","))
    assert listeners["NETWORK"] == ":19092"
    assert [f":{inner}" for _, _, inner in compose.published("kafka")] == [listeners["HOST"]]


def test_prometheus_scrapes_what_runs_here() -> None:
    """Each target is a service and the port that its process has; the workers' name stands for all of them."""
    configuration = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text("utf-8"))
    targets: dict[str, int] = {}
    for job in configuration["scrape_configs"]:
        targets |= {name: each["port"] for each in job.get("dns_sd_configs", ()) for name in each["names"]}
        addresses = [target for each in job.get("static_configs", ()) for target in each["targets"]]
        targets |= {address.split(":")[0]: int(address.split(":")[1]) for address in addresses}
    assert {"workers", "api", "lag-exporter"} <= set(targets)
    assert {name: compose.health_url(name)[0] for name in services() if name in targets} == {
        name: port for name, port in targets.items() if name != "localhost"
    }


def test_workers_can_be_scaled() -> None:
    """Nothing in the service can be had by one container alone."""
    assert not {"ports", "container_name", "hostname"} & set(services()["workers"])
    assert not any("container_name" in each for each in services().values())
