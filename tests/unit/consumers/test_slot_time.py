from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.slot_time import SlotTime

steps = st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=50)


@given(steps, st.floats(0, 100))
def test_calling_and_idle_add_up_to_slots_times_time(moves: list[tuple[float, bool]], rest: float) -> None:
    """Whatever is taken and freed when: no slot-second is lost or counted twice."""
    now, running = 10.0, 0
    slots = 5
    time = SlotTime(slots=slots, now=now)
    calling = 0.0
    for passed, take in moves:
        now += passed
        calling += passed * running
        if take and running < slots:
            time.take(now)
            running += 1
        elif not take and running:
            time.free(now)
            running -= 1
    now += rest
    calling += rest * running
    time.advance(now)
    assert abs(time.calling_seconds - calling) < 1e-6
    assert abs(time.calling_seconds + time.idle_seconds - slots * (now - 10.0)) < 1e-6


def test_looking_changes_nothing() -> None:
    """Two scrapes in a row read the same."""
    time = SlotTime(slots=2, now=0)
    time.take(1)
    for _ in range(2):
        time.advance(3)
        assert (time.calling_seconds, time.idle_seconds) == (2, 4)
