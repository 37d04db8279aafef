"""The committable offset never passes an unsettled record."""

from collections.abc import Iterator

from aiokafka.structs import TopicPartition
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consumers.engine.window import PartitionWindow, Windows

P0 = TopicPartition("tokens", 0)
P1 = TopicPartition("tokens", 1)


def test_a_fresh_window_commits_nothing() -> None:
    """Before any record there is nothing to say about the partition."""
    assert PartitionWindow().committable is None


def test_records_settle_in_any_order_and_the_offset_waits_for_the_first() -> None:
    """Three records, settled last to first: only the first one moves the offset, past all of them."""
    window = PartitionWindow()
    assert all(window.admit(offset) for offset in (5, 6, 7))
    assert [(window.settle(offset), window.committable) for offset in (7, 6, 5)] == [(True, 5), (True, 5), (True, 8)]


def test_a_gap_in_the_offsets_is_passed() -> None:
    """Compaction and transaction markers leave holes: the offset goes to the next record that exists."""
    window = PartitionWindow()
    for offset in (3, 10, 50):
        window.admit(offset)
    window.settle(3)
    assert window.committable == 10
    window.settle(10)
    window.settle(50)
    assert window.committable == 51


def test_an_offset_is_admitted_once() -> None:
    """The same offset, or one below, is refused: it is in hand or was."""
    window = PartitionWindow()
    assert window.admit(5)
    assert not window.admit(5)
    assert not window.admit(4)
    window.settle(5)
    assert not window.admit(5)
    assert window.committable == 6


def test_settling_twice_or_settling_a_stranger_does_nothing() -> None:
    """A second settle is refused and moves nothing."""
    window = PartitionWindow()
    window.admit(1)
    window.admit(2)
    assert window.settle(1)
    assert not window.settle(1)
    assert not window.settle(99)
    assert (window.committable, len(window)) == (2, 1)


def test_a_closed_window_takes_nothing_and_a_late_settle_moves_nothing() -> None:
    """After a revoke the records are somebody else's."""
    window = PartitionWindow()
    window.admit(1)
    window.close()
    window.close()
    assert (window.closed, len(window), window.settle(1), window.admit(2)) == (True, 0, False, False)


def test_a_marker_at_the_end_is_passed_once_nothing_is_unsettled() -> None:
    """A transaction ends with a marker, which is no record: the offset passes it, but never a record."""
    window = PartitionWindow()
    window.admit(4)
    window.pass_to(6)
    assert window.committable == 4
    window.settle(4)
    assert window.committable == 5
    window.pass_to(6)
    window.pass_to(3)
    assert window.committable == 6
    assert window.admit(6)


def test_an_assignment_begins_with_fresh_windows() -> None:
    """The windows of the last assignment are closed, whoever still holds one; committable lists what was read from."""
    windows = Windows()
    windows.open([P0, P1])
    old = windows[P0]
    old.admit(4)
    assert (windows.committable(), len(windows), windows.partitions()) == ({P0: (4, "running")}, 2, (P0, P1))
    windows.open([P0])
    assert (old.closed, windows.committable(), len(windows)) == (True, {}, 1)
    windows.close()
    windows.close()
    assert (windows.partitions(), dict(windows.items())) == ((), {})


class WindowMachine(RuleBasedStateMachine):
    """Random admits with gaps and repeats, settles of anything, closes: against a list of (offset, settled)."""

    def __init__(self) -> None:
        super().__init__()
        self.window = PartitionWindow()
        self.model: dict[int, bool] = {}
        self.last = -1
        self.closed = False

    @rule(step=st.integers(-2, 4))
    def admit(self, step: int) -> None:
        """Take the next offset, one with a gap, or one that was there before."""
        offset = max(self.last + step, 0)
        new = not self.closed and offset > self.last
        assert self.window.admit(offset) is new
        if new:
            self.model[offset] = False
            self.last = offset

    @rule(offset=st.integers(0, 60))
    def settle(self, offset: int) -> None:
        """Settle any offset, known or not, once or again."""
        expected = not self.closed and self.model.get(offset) is False
        assert self.window.settle(offset) is expected
        if expected:
            self.model[offset] = True

    @rule(closes=st.sampled_from([False] * 19 + [True]))
    def close(self, *, closes: bool) -> None:
        """Close, rarely."""
        if closes:
            self.window.close()
            self.closed = True

    @invariant()
    def commits_up_to_the_first_unsettled(self) -> None:
        """The definition, said in another way than the code does."""
        unsettled = list(self._unsettled())
        if not self.closed:
            assert self.window.committable == (min(unsettled) if unsettled else self.last + 1 if self.model else None)
        assert len(self.window) == (0 if self.closed else len(unsettled))

    def _unsettled(self) -> Iterator[int]:
        return (offset for offset, settled in self.model.items() if not settled)


TestWindowMachine = WindowMachine.TestCase
