"""The dashboard as Grafana reads it, and the metrics that an expression asks for."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.lint.check import ROOT

FOLDER = ROOT / "infra" / "grafana" / "dashboards"
DASHBOARD = FOLDER / "tokenflow.json"
DATA_SOURCE = {"type": "prometheus", "uid": "prometheus"}
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LITERAL = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_NOT_METRICS = re.compile(
    r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
    r"|\b(?:and|or|unless|bool|offset)\b|[A-Za-z_]\w*(?=\s*(?:\(|by\b|without\b))|\b\d[\w.]*",
)


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel; `instant`: asked for the present alone."""

    expression: str
    legend: str
    instant: bool
    data_source: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel that shows data. `left` and `top` are its place on a grid 24 wide."""

    title: str
    description: str
    kind: str
    unit: str
    targets: tuple[Target, ...]
    left: int
    top: int
    width: int
    height: int


def read_dashboard() -> dict[str, Any]:
    """Read the JSON."""
    content: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return content


def panels(dashboard: Mapping[str, Any], **variables: str) -> Iterator[Panel]:
    """Yield the panels that show data, in order, their variables filled in."""
    for each in dashboard["panels"]:
        if each["type"] == "row":
            continue
        targets = tuple(
            Target(filled_in(target["expr"], variables), target["legendFormat"], target["instant"], target["datasource"])
            for target in each["targets"]
        )
        place = each["gridPos"]
        unit = each["fieldConfig"]["defaults"].get("unit", "")
        at = (place["x"], place["y"], place["w"], place["h"])
        yield Panel(each["title"], each.get("description", ""), each["type"], unit, targets, *at)


def filled_in(expression: str, variables: Mapping[str, str]) -> str:
    """Put values in the place of variables."""
    for name, value in variables.items():
        expression = expression.replace(f"${name}", value)
    return expression


def metric_names(expression: str) -> set[str]:
    """Name the metrics that a PromQL expression asks for."""
    return set(_NAME.findall(_NOT_METRICS.sub(" ", _LITERAL.sub('""', expression))))
