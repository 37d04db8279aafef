import pytest

from tests.support.dashboards import metric_names


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        ("tokenflow:throughput:rate1m", {"tokenflow:throughput:rate1m"}),
        ("sum by (le, job) (rate(a_bucket{path=~\"b(c)|d{2}\", e!='}f'}[1m] offset 5m))", {"a_bucket"}),
        ("sum(rate(a[1m])) without (instance) / on () group_left () (b > 0) or vector(0)", {"a", "b"}),
        ("histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m]))) >= 0", {"a_bucket"}),
        ('label_values(a{group="$group"}, topic)', {"a", "topic"}),
        ("(a and b) unless c > bool 1e3", {"a", "b", "c"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression: str, names: set[str]) -> None:
    """Neither functions, labels, durations and keywords, nor anything within a string."""
    assert metric_names(expression) == names
