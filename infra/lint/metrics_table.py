"""The metrics of every process, read off their catalogues: the text of docs/metrics.md.

    python -m infra.lint.metrics_table > docs/metrics.md

tests/docs compares the file with this.
"""

import sys
from collections.abc import Iterable
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from consumers import metrics as worker_metrics
from infra.lag import metrics as lag_metrics
from producer_api.metrics import Metrics as ApiMetrics

DEFAULT_PREFIXES: Final = ("python_", "process_")
"""What the client library exports of every process; it documents them itself."""
HEAD: Final = """\
# Metrics

Made by `python -m infra.lint.metrics_table`. Each process answers `GET /metrics`: the API on API_PORT, worker n on
WORKER_PORT plus n, the lag exporter (`tokenflow lag --listen`) on LAG_EXPORTER_PORT. What is unknown has no series: never 0,
-1 or NaN. The `python_` and `process_` metrics of the client library are there as well.
"""
Row = tuple[str, str, str, str]


def registries() -> dict[str, CollectorRegistry]:
    """Process -> the registry of its catalogue."""
    return {"Workers": REGISTRY, "API": ApiMetrics().registry, "Lag exporter": lag_metrics.REGISTRY}


def metrics_of_all_processes() -> list[Row]:
    """List the metrics of every process; see `rows`."""
    return [row for registry in registries().values() for row in rows(registry)]


def document() -> str:
    """Write docs/metrics.md."""
    parts = [HEAD]
    for process, registry in registries().items():
        parts += [f"## {process}\n", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        parts += [f"| `{name}` | {kind} | {labels} | {meaning} |" for name, kind, labels, meaning in rows(registry)]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def rows(registry: CollectorRegistry) -> list[Row]:
    """List the metrics of a registry by name: name as it is queried, kind, labels, meaning."""
    collectors = registry._collector_to_names  # noqa: SLF001 - there is no public way to list them
    found = [row for collector in collectors for row in _rows(collector)]
    return sorted(row for row in found if not row[0].startswith(DEFAULT_PREFIXES))


def _rows(collector: object) -> Iterable[Row]:
    if isinstance(collector, MetricWrapperBase):
        name, kind, labels = collector._name, collector._type, collector._labelnames  # noqa: SLF001 - see above
        yield _row(name, str(kind), labels, collector._documentation)  # noqa: SLF001
    elif isinstance(collector, worker_metrics.EngineCollector | lag_metrics.LagCollector):
        for family in collector.describe():
            labels = getattr(family, "_labelnames", ())
            yield _row(family.name, family.type, labels, family.documentation)


def _row(name: str, kind: str, labels: Iterable[str], meaning: str) -> Row:
    queried = f"{name}_total" if kind == "counter" else name
    return (queried, kind, ", ".join(f"`{label}`" for label in labels), meaning)


if __name__ == "__main__":
    sys.stdout.write(document())
