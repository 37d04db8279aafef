"""The hold releases what is due, in order, and nothing else; the ready queue shares the slots."""

from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.hold import Hold
from consumers.engine.ready import ReadyQueue
from tests.support.records import make_record

PARTITIONS = [TopicPartition("tokens.retry.5m", number) for number in range(3)]
HELD = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50)), max_size=40)


@given(held=HELD, looks=st.lists(st.integers(0, 60), max_size=10))
def test_against_a_plain_model(held: list[tuple[int, int]], looks: list[int]) -> None:
    """Any due times, any looks: each record once, none early, in the order of its partition, never more held than were."""
    hold = Hold()
    model: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for number, due_ms in held:
        hold.add(PARTITIONS[number], make_record(partition=number, due_ms=due_ms))
        model[number].append(due_ms)
    for now in looks:
        expected = []
        for number, dues in model.items():
            while dues and dues[0] <= now:
                expected.append((number, dues.pop(0)))
        assert sorted((one.partition, one.due_ms) for one in hold.due(now)) == sorted(expected)
        assert len(hold) == sum(map(len, model.values()))
        assert hold.next_due_ms == min((dues[0] for dues in model.values() if dues), default=None)
        assert [PARTITIONS[number] in hold for number in model] == [bool(dues) for dues in model.values()]
    assert len(hold.clear()) == sum(map(len, model.values()))
    assert (len(hold), hold.clear(), hold.next_due_ms) == (0, [], None)


@given(slots=st.integers(1, 40), fresh=st.integers(0, 60), due=st.integers(0, 60))
def test_each_kind_gets_its_share_while_both_wait_and_all_of_it_otherwise(slots: int, fresh: int, due: int) -> None:
    """Slots are filled from a standing start: due ones take their fifth, more only where no fresh one is left."""
    ready = ReadyQueue(slots=slots)
    for number in range(fresh):
        ready.append(make_record(number))
    for number in range(due):
        ready.append(make_record(number, due_ms=1))
    calling = {True: 0, False: 0}
    for _ in range(min(slots, fresh + due)):
        shown = ready.peek(due_calling=calling[True])
        taken = ready.pop(due_calling=calling[True])
        assert shown is taken
        calling[bool(taken.due_ms)] += 1
    reserve = max(1, slots // 5)
    assert calling[True] >= min(due, reserve)
    assert calling[False] >= min(fresh, slots - max(reserve, slots - fresh))
    assert sum(calling.values()) == min(slots, fresh + due)


def test_a_single_slot_takes_turns() -> None:
    """One slot, both kinds waiting: neither starves."""
    ready = ReadyQueue(slots=1)
    for number in range(3):
        ready.append(make_record(number))
        ready.append(make_record(number, due_ms=1))
    assert [bool(ready.pop().due_ms) for _ in range(6)] == [True, False, True, False, True, False]
