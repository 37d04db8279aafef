from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from topics.lag import NEVER_COMMITTED, PartitionOffsets, group_lag, partition_lag

AT = TopicPartition("tokens", 0)
NOW_MS = 1_000_000.0
offset = st.integers(0, 1_000_000)
unread = st.none()


def lag_of(**offsets: int | None) -> tuple[int | None, float | None]:
    """Lag in records and seconds at NOW_MS."""
    found = partition_lag(AT, PartitionOffsets(**offsets), now_ms=NOW_MS)
    return found.lag, found.lag_seconds


def test_lag_is_what_lies_between_the_commit_and_the_end() -> None:
    """In records, and in the age of the record at the committed offset."""
    assert lag_of(committed=7, start=0, end=10, head_timestamp_ms=998_500) == (3, 1.5)


def test_a_group_at_the_end_is_zero_seconds_behind() -> None:
    """There is no record at the committed offset, and none is needed."""
    assert lag_of(committed=10, start=0, end=10) == (0, 0.0)


def test_never_committed_means_that_all_of_the_log_waits() -> None:
    """From the log's start, and told apart from a commit of 0 and from a commit that was not read."""
    never, at_zero, not_read = (
        partition_lag(AT, PartitionOffsets(committed=committed, start=4, end=10), now_ms=NOW_MS)
        for committed in (NEVER_COMMITTED, 0, None)
    )
    assert (never.lag, never.committed_offset, never.never_committed) == (6, None, True)
    assert (at_zero.lag, at_zero.committed_offset, at_zero.never_committed) == (6, 0, False)
    assert (not_read.lag, not_read.committed_offset, not_read.never_committed) == (None, None, False)


def test_what_was_deleted_is_behind_nobody() -> None:
    """A commit below the log's start goes on at the start."""
    assert lag_of(committed=2, start=8, end=10, head_timestamp_ms=999_000) == (2, 1.0)


def test_a_log_that_lost_its_tail_and_a_clock_that_runs_behind_make_nothing_negative() -> None:
    """An end below the commit; a record from the future."""
    assert lag_of(committed=12, start=0, end=10) == (0, 0.0)
    assert lag_of(committed=9, start=0, end=10, head_timestamp_ms=1_000_500) == (1, 0.0)


@given(committed=offset | unread, start=offset | unread, end=offset | unread, stamp=offset | unread)
def test_one_unknown_makes_the_lag_unknown_and_never_zero(
    committed: int | None, start: int | None, end: int | None, stamp: int | None
) -> None:
    """Known exactly when all that it is worked out of is known; seconds need the record too, unless nothing waits."""
    lag, seconds = lag_of(committed=committed, start=start, end=end, head_timestamp_ms=stamp)
    assert (lag is None) == (None in {committed, start, end})
    assert (seconds is None) == (lag is None or (lag > 0 and stamp is None))
    assert lag is None or lag >= 0
    assert seconds is None or (seconds >= 0 and (lag != 0 or seconds == 0))


@given(committed=st.integers(-1, 100), start=st.integers(0, 100), grown=st.integers(0, 100), more=st.integers(0, 100))
def test_lag_grows_with_the_log_and_falls_with_the_commit(committed: int, start: int, grown: int, more: int) -> None:
    """By as much as the log grew; a commit of n records takes away n at most."""
    before, _ = lag_of(committed=committed, start=start, end=start + grown)
    longer, _ = lag_of(committed=committed, start=start, end=start + grown + more)
    further, _ = lag_of(committed=committed + more, start=start, end=start + grown)
    assert before is not None
    assert longer is not None
    assert further is not None
    assert before <= longer <= before + more
    assert max(0, before - more) <= further <= before


def test_a_group_sums_its_partitions_by_topic_and_says_the_worst_age() -> None:
    """In the order of topics and numbers, whatever order they were read in."""
    reading = group_lag(
        "workers",
        {
            TopicPartition("tokens.retry.5m", 0): PartitionOffsets(0, 0, 0),
            TopicPartition("tokens", 10): PartitionOffsets(0, 0, 5, 990_000),
            TopicPartition("tokens", 2): PartitionOffsets(1, 0, 3, 995_000),
        },
        members=3,
        now_ms=NOW_MS,
    )
    assert [(each.topic, each.partition) for each in reading.partitions] == [
        ("tokens", 2),
        ("tokens", 10),
        ("tokens.retry.5m", 0),
    ]
    assert (reading.lag, reading.lag_seconds, reading.members, reading.is_complete) == (7, 10.0, 3, True)
    assert reading.lag_of_topics == {"tokens": 7, "tokens.retry.5m": 0}
    assert reading.partitions_of_topics == {"tokens": 2, "tokens.retry.5m": 1}


def test_a_sum_with_an_unknown_part_is_unknown_for_its_topic_alone() -> None:
    """A partition without a leader spoils the sum of its topic and of the group, not that of the other topic."""
    reading = group_lag(
        "workers",
        {
            TopicPartition("tokens", 0): PartitionOffsets(1, None, None),
            TopicPartition("other", 0): PartitionOffsets(1, 0, 3),
        },
        members=1,
        now_ms=NOW_MS,
    )
    assert (reading.lag, reading.lag_seconds, reading.is_complete) == (None, None, False)
    assert reading.lag_of_topics == {"other": 2, "tokens": None}
