"""The answers to every query of the dashboard over a time, as data: what `bench.dashboard_picture` draws."""

import re
from collections.abc import Mapping
from typing import Any, Final

from tests.support.dashboards import Panel, panels, read_dashboard
from tests.support.prometheus import Prometheus, Series

STEP_SECONDS: Final = 5.0
Captured = dict[str, Any]
"""A panel: title, unit, kind, place, and series, each a name and points of (seconds since the start, value)."""


async def capture(ask: Prometheus, *, start: float, end: float, group: str, topic: str) -> list[Captured]:
    """Ask for every panel, in order."""
    found: list[Captured] = []
    for panel in panels(read_dashboard(), group=group, topic=topic):
        series = []
        for target in panel.targets:
            for each in await ask.query_range(target.expression, start=start, end=end, step_seconds=STEP_SECONDS):
                points = [(moment - start, value) for moment, value in each.points]
                series.append({"name": name_of(target.legend, each), "points": points})
        found.append({**_place(panel), "title": panel.title, "unit": panel.unit, "kind": panel.kind, "series": series})
    return found


def name_of(legend: str, series: Series) -> str:
    """Fill a legend's {{labels}} in, as Grafana does."""
    for label, value in series.labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return re.sub(r"\{\{\w+\}\}", "", legend).strip()


def _place(panel: Panel) -> Mapping[str, int]:
    return {"left": panel.left, "top": panel.top, "width": panel.width, "height": panel.height}
