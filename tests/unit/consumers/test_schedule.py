"""When to commit, and what."""

from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.schedule import BACKOFF_LIMIT_SECONDS, CommitSchedule

P0 = TopicPartition("tokens", 0)
P1 = TopicPartition("tokens", 1)


def test_only_what_moved_is_committed() -> None:
    """A partition whose offset was accepted is left out until it moves again."""
    schedule = CommitSchedule(interval_seconds=0.5)
    assert schedule.due({P0: (3, "running"), P1: (0, "running")}) == {P0: (3, "running"), P1: (0, "running")}
    schedule.note_committed({P0: (3, "running"), P1: (0, "running")})
    assert schedule.due({P0: (3, "running"), P1: (1, "running")}) == {P1: (1, "running")}


def test_a_mark_that_changed_is_committed_though_the_offset_did_not_move() -> None:
    """The last commit of an assignment says `clean` at the same offset."""
    schedule = CommitSchedule(interval_seconds=0.5)
    schedule.note_committed({P0: (3, "running")})
    assert schedule.due({P0: (3, "clean")}) == {P0: (3, "clean")}


def test_what_failed_stays_due() -> None:
    """Only an accepted commit counts."""
    schedule = CommitSchedule(interval_seconds=0.5)
    schedule.note_failed()
    assert schedule.due({P0: (3, "running")}) == {P0: (3, "running")}


def test_an_assignment_forgets_what_was_committed() -> None:
    """Another member may have committed in between, so the same offset is committed again."""
    schedule = CommitSchedule(interval_seconds=0.5)
    schedule.note_committed({P0: (3, "running")})
    schedule.note_failed()
    schedule.forget()
    assert (schedule.due({P0: (3, "running")}), schedule.wait_seconds) == ({P0: (3, "running")}, 0.5)


def test_failures_in_a_row_double_the_wait_and_a_success_ends_it() -> None:
    """0.5, 1, 2, 4, then 5 seconds; back to 0.5 after a commit that was accepted."""
    schedule = CommitSchedule(interval_seconds=0.5)
    waits = []
    for _ in range(6):
        waits.append(schedule.wait_seconds)
        schedule.note_failed()
    assert waits == [0.5, 1, 2, 4, 5, 5]
    schedule.note_committed({P0: (1, "running")})
    assert schedule.wait_seconds == 0.5


@given(st.floats(0.001, 60), st.integers(0, 2000))
def test_the_wait_is_never_shorter_than_the_interval_nor_without_end(interval: float, failures: int) -> None:
    """Any interval, any number of failures: between the interval and the larger of it and the limit."""
    schedule = CommitSchedule(interval_seconds=interval)
    for _ in range(failures):
        schedule.note_failed()
    assert interval <= schedule.wait_seconds <= max(interval, BACKOFF_LIMIT_SECONDS)
