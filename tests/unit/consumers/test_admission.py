"""Two bounds: calls that run, and everything that was admitted."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.admission import AHEAD_LIMIT, PERSISTING_LIMIT, POLL_LIMIT, Admission
from consumers.engine.answers import STOP_BYTES

SLOTS = st.integers(1, 100_000)
MIB = 1_048_576


def test_a_fresh_worker_polls_and_calls() -> None:
    """With 5,000 slots: 500 a poll, 2,000 ahead, 11,000 in hand at most."""
    admission = Admission(slots=5_000)
    assert (admission.poll_budget(), admission.free_slots()) == (POLL_LIMIT, 5_000)
    assert (admission.ahead_limit, admission.unsettled_limit) == (AHEAD_LIMIT, 5_000 + AHEAD_LIMIT + PERSISTING_LIMIT)


def test_the_smallest_worker_works() -> None:
    """One slot: one record ahead."""
    admission = Admission(slots=1)
    assert (admission.poll_budget(), admission.ahead_limit) == (1, 1)
    admission.waiting = admission.unsettled = 1
    assert admission.poll_budget() == 0


def test_records_ahead_stop_polling_until_there_is_room_for_a_batch() -> None:
    """Full at 20 ahead; nothing is polled for a single free place, half of them make a batch."""
    admission = Admission(slots=40)
    for waiting, budget in ((20, 0), (19, 0), (11, 0), (10, 10), (0, 20)):
        admission.waiting = admission.unsettled = waiting
        assert admission.poll_budget() == budget


def test_unsettled_records_stop_polling() -> None:
    """With the database away the answers pile up to a bound, and no further."""
    admission = Admission(slots=10)
    admission.unsettled = admission.unsettled_limit
    assert admission.poll_budget() == 0
    admission.unsettled -= admission.poll_floor
    assert admission.poll_budget() == admission.poll_floor


def test_bytes_of_records_stop_polling_and_not_the_calls() -> None:
    """130 records of 1 MiB are enough; were calls stopped too, nothing would ever settle."""
    admission = Admission(slots=5_000)
    for _ in range(130):
        admission.admit(MIB)
    assert (admission.poll_budget(), admission.free_slots()) == (0, 5_000)
    for _ in range(3):
        admission.waiting -= 1
        admission.leave(MIB)
    assert admission.poll_budget() == POLL_LIMIT
    assert (admission.unsettled, admission.record_bytes) == (127, 127 * MIB)


def test_bytes_of_answers_stop_the_calls_and_not_the_polling() -> None:
    """Nothing can be stored: no call starts that would bring more."""
    admission = Admission(slots=5_000)
    admission.answers.keep(STOP_BYTES)
    assert (admission.poll_budget(), admission.free_slots()) == (POLL_LIMIT, 0)
    admission.answers.let_go(1)
    assert admission.free_slots() == 5_000


@given(SLOTS, st.integers(0, 200_000), st.integers(0, 200_000))
def test_a_poll_never_passes_a_bound(slots: int, waiting: int, others: int) -> None:
    """Whatever is in hand: what is polled fits below both bounds, is one poll's worth, and is not a crumb."""
    admission = Admission(slots=slots)
    admission.waiting, admission.unsettled = waiting, waiting + others
    budget = admission.poll_budget()
    assert budget == 0 or admission.poll_floor <= budget <= POLL_LIMIT
    assert budget == 0 or waiting + budget <= admission.ahead_limit
    assert budget == 0 or waiting + others + budget <= admission.unsettled_limit


@given(SLOTS)
def test_an_idle_worker_always_polls(slots: int) -> None:
    """Nothing waits, everything settled or in a call: there is a budget, so no worker stands still for ever."""
    admission = Admission(slots=slots)
    admission.calling = admission.unsettled = slots
    assert admission.poll_budget() > 0
    assert admission.free_slots() == 0
