"""The catalogue's own histogram."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from consumers.metrics import LoopHistogram

BUCKETS = (0.05, 1, 2.5, 60)


@settings(deadline=None)  # the first registry of a process takes a while
@given(st.lists(st.sampled_from([*BUCKETS, 0.0, -1.0, 0.04, 0.06, 61.0, float("inf")]) | st.floats(allow_nan=False)))
def test_it_counts_as_the_library_does(observed: list[float]) -> None:
    """Every observation in the same bucket, and the same sum."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    for registry, kind in ((ours, LoopHistogram), (theirs, Histogram)):
        histogram = kind("seconds", "A time.", ["of"], buckets=BUCKETS, registry=registry).labels("a call")
        for amount in observed:
            histogram.observe(amount)
    lines = [[line for line in generate_latest(each).splitlines() if b"_created" not in line] for each in (ours, theirs)]
    assert lines[0] == lines[1]


def test_a_histogram_with_labels_is_not_observed_without_them() -> None:
    """As in the library: a mistake is an error, not a series of its own."""
    with pytest.raises(AttributeError):
        LoopHistogram("seconds", "A time.", ["of"], buckets=BUCKETS, registry=CollectorRegistry()).observe(1.0)
