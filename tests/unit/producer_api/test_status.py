import pytest

from producer_api.lag import Reading
from producer_api.status import Status, Totals, _queue
from producer_api.totals import Counted
from topics.lag import GroupLag, PartitionLag


def test_the_example_is_a_status() -> None:
    """The example in /docs follows the documented shape, and names every outcome."""
    example = Status.model_json_schema()["example"]
    Status.model_validate(example)
    assert set(example) == set(Status.model_fields)
    assert set(example["outcomes"]) == set(Totals.model_fields)


def test_the_topics_are_told_apart() -> None:
    """Queue size and its age are those of the tokens topic; what waits for its retry is a number of its own."""
    queue = _queue(
        _reading(_partition(0, 3, 1.5), _partition(1, 4, 2.5), _partition(0, 9, 200.0, topic="t.retry.5m")), "t", 12.0
    )
    assert queue is not None
    assert (queue.tokens, queue.retry, queue.seconds, queue.members, queue.age_seconds) == (7, 9, 2.5, 2, 2.0)


@pytest.mark.parametrize(("lag", "seconds"), [(None, None), (4, None)])
def test_a_sum_with_an_unknown_part_is_unknown(lag: int | None, seconds: float | None) -> None:
    """Never the sum of the rest, and never 0."""
    queue = _queue(_reading(_partition(0, 3, 1.5), _partition(1, lag, seconds)), "t", 10.0)
    assert queue is not None
    assert (queue.tokens, queue.seconds, queue.retry) == (7 if lag else None, None, 0)


def test_a_topic_that_does_not_exist_has_no_lag() -> None:
    """Before the topics are created nothing is known; no reading is no queue at all."""
    queue = _queue(_reading(), "t", 10.0)
    assert queue is not None
    assert (queue.tokens, queue.seconds) == (None, None)
    assert _queue(Reading(None, "No broker answers.", 10.0), "t", 10.0) is None


def test_a_dear_count_is_used_longer() -> None:
    """For a second, or for ten times as long as it took."""
    assert Counted({}, at=100.0, seconds=0.01).is_fresh(101.0)
    assert not Counted({}, at=100.0, seconds=0.01).is_fresh(101.1)
    assert Counted({}, at=100.0, seconds=2.0).is_fresh(120.0)
    assert not Counted({}, at=100.0, seconds=2.0).is_fresh(120.1)


def _partition(number: int, lag: int | None, seconds: float | None, *, topic: str = "t") -> PartitionLag:
    return PartitionLag(
        topic=topic,
        partition=number,
        committed_offset=0,
        never_committed=False,
        start_offset=0,
        end_offset=lag,
        lag=lag,
        lag_seconds=seconds,
    )


def _reading(*partitions: PartitionLag) -> Reading:
    return Reading(GroupLag("g", 2, partitions), None, 10.0)
