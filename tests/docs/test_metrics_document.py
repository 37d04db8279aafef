from infra.lint.check import ROOT
from infra.lint.metrics_table import document


def test_every_metric_is_documented_as_its_catalogue_says() -> None:
    """Run `python -m infra.lint.metrics_table > docs/metrics.md` after a change."""
    assert (ROOT / "docs/metrics.md").read_text("utf-8") == document()
