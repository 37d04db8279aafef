import re
from collections.abc import Iterator
from typing import Any

from infra.lint.check import ROOT
from infra.lint.metrics_table import metrics_of_all_processes
from infra.prometheus.local import CONFIGURATION, RULES
from tests.support.dashboards import DATA_SOURCE, FOLDER, metric_names, panels, read_dashboard

WORKER_SETTINGS = ("WORKER_PORT", "WORKER_INDEX")
PROMETHEUS_OWN = {"up"}
"""Made by Prometheus itself, for each target."""
CLIENT_LIBRARY = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}
"""What the client library exports of every process; infra/lint/metrics_table.py leaves them out of the catalogues."""


def catalogued() -> set[str]:
    """Name every series that the processes can have, those of histograms under their own names."""
    names: set[str] = set()
    for name, kind, _labels, _meaning in metrics_of_all_processes():
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return names


def rules() -> Iterator[tuple[str, str]]:
    """Yield name and expression of each recording rule: `expr` on its line, or folded below it."""
    for path in sorted(RULES.glob("*.yml")):
        for each in path.read_text("utf-8").split("- record: ")[1:]:
            name, _, rest = each.partition("\n")
            expression = rest.partition("expr:")[2].removeprefix(" >-")
            lines = [line.strip() for line in expression.splitlines()]
            yield name.strip(), " ".join(line for line in lines if not line.startswith("#"))


def test_every_metric_of_a_rule_and_of_the_dashboard_exists() -> None:
    """In a catalogue, as a recording rule, or as Prometheus' own: a renamed metric leaves no panel empty."""
    recorded = dict(rules())
    assert len(recorded) > 10
    known = catalogued() | PROMETHEUS_OWN | CLIENT_LIBRARY | recorded.keys()
    asked = {name: metric_names(expression) for name, expression in recorded.items()}
    asked |= {f"{panel.title}: {t.expression}": metric_names(t.expression) for panel in shown() for t in panel.targets}
    for variable in read_dashboard()["templating"]["list"]:
        metric = variable["query"]["query"].removeprefix("label_values(").rpartition(",")[0]
        asked[variable["name"]] = metric_names(metric)
    unknown = {where: names - known for where, names in asked.items() if not names or names - known}
    assert not unknown


def test_every_rule_is_shown() -> None:
    """A number that is worked out every five seconds is on the dashboard."""
    on_panels = {name for panel in shown() for target in panel.targets for name in metric_names(target.expression)}
    assert set(dict(rules())) <= on_panels


def test_every_panel_says_what_it_is() -> None:
    """Title, unit, what it means and what to do, and what stands there when there is no number."""
    titles = [panel.title for panel in shown()]
    assert len(titles) == len(set(titles)) > 20
    for panel in shown():
        assert panel.title, panel
        assert panel.unit, panel
        assert len(panel.description) > 60, panel
        assert panel.description.endswith("."), panel
        assert panel.targets, panel
    for each in read_dashboard()["panels"]:
        assert each["type"] == "row" or each["fieldConfig"]["defaults"]["noValue"], each["title"]


def test_every_query_names_the_provisioned_data_source() -> None:
    """By its uid; and a single number is that of now, not the last one that there was."""
    provisioned = (FOLDER.parent / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
    assert re.search(rf"^ +uid: {DATA_SOURCE['uid']}$", provisioned, re.MULTILINE)
    for panel in shown():
        for target in panel.targets:
            assert target.data_source == DATA_SOURCE, panel
            assert target.instant == (panel.kind == "stat"), panel
    assert [each["name"] for each in read_dashboard()["templating"]["list"]] == ["group", "topic"]


def test_the_dashboard_is_drawn_without_overlaps() -> None:
    """Every panel has an id and a place of its own, within the 24 columns."""
    everything: list[dict[str, Any]] = read_dashboard()["panels"]
    assert len({each["id"] for each in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for each in everything:
        at = each["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, each["title"]
        taken |= cells


def test_the_five_numbers_come_first() -> None:
    """As their users named them."""
    five = ["Throughput", "Average latency", "Queue size", "Error rate", "Worker utilisation"]
    assert [panel.title for panel in shown()][:5] == five


def test_grafana_is_told_the_scrape_interval() -> None:
    """The data source's interval is the scrape interval, so that Grafana asks for no points between two scrapes."""
    (interval,) = re.findall(r"^ +scrape_interval: (\S+)", CONFIGURATION.read_text("utf-8"), re.MULTILINE)
    provisioned = (FOLDER.parent / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
    assert re.search(rf"^ +timeInterval: {interval}\b", provisioned, re.MULTILINE)


def test_prometheus_scrapes_services_of_docker_compose() -> None:
    """Every host is a service there, and the workers' port is the one that their settings add up to."""
    text = CONFIGURATION.read_text("utf-8")
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    services = re.findall(r"^  ([a-z-]+):$", compose, re.MULTILINE)
    hosts = re.findall(r'targets: \["([a-z-]+):\d+"\]', text) + re.findall(r"names: \[([a-z-]+)\]", text)
    assert set(hosts) - {"localhost"} == {"api", "lag-exporter", "workers"} <= set(services)
    (port,) = re.findall(r"^ +port: (\d+)", text, re.MULTILINE)
    first, index = (int(re.findall(rf'^ +{name}: "?(\d+)"?$', compose, re.MULTILINE)[0]) for name in WORKER_SETTINGS)
    assert int(port) == first + index


def shown() -> list[Any]:
    """List the panels that show data."""
    return list(panels(read_dashboard()))
