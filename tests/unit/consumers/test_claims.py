"""Copies of one record never run side by side, and the books balance whatever happens in whatever order."""

import pytest
from aiokafka.structs import TopicPartition
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumers.engine.claims import Claim, Claims
from consumers.engine.record import Record
from consumers.engine.state import EngineState
from tests.support.records import make_id, make_record

P0 = TopicPartition("tokens", 0)


def test_the_first_comer_has_the_id() -> None:
    """A copy that is not newer follows it, a newer one waits, another token is another record."""
    claims = Claims()
    first = make_record(1, attempt=2)
    assert claims.claim(first) is Claim.GRANTED
    claims.confirm(first)
    assert claims.claim(make_record(1, attempt=2)) is Claim.FOLLOWS
    assert claims.claim(make_record(1, attempt=1)) is Claim.FOLLOWS
    assert claims.claim(make_record(1, attempt=3)) is Claim.WAITS
    assert claims.claim(make_record(1, attempt=1, redrive_count=1)) is Claim.WAITS
    assert len(claims) == 1


def test_nobody_follows_a_claim_that_its_row_has_not_confirmed() -> None:
    """Anyone can send a redrive-count: who followed a forged one would settle with a record that was never called."""
    claims = Claims()
    forged, retry = make_record(1, redrive_count=99), make_record(1, attempt=2)
    claims.claim(forged)
    assert claims.claim(retry) is Claim.WAITS
    forged.redrive_count = 0
    assert claims.release(forged).waiters == [retry]


def test_another_token_waits_until_it_is_known_whose_the_id_is() -> None:
    """Before the check of the claimed record nobody knows; after it, the other token's record goes its own way."""
    claims = Claims()
    first, rival = make_record(1), make_record(1, token="other")
    claims.claim(first)
    assert claims.claim(rival) is Claim.WAITS
    assert claims.confirm(first) == [rival]
    assert claims.claim(rival) is Claim.CONFLICTS
    assert claims.confirm(first) == []


def test_a_rival_is_handed_back_where_the_id_turns_out_to_be_another_token_s() -> None:
    """The release of a claim that was never confirmed lets the rival claim."""
    claims = Claims()
    first, rival = make_record(1), make_record(1, token="other")
    claims.claim(first)
    claims.claim(rival)
    assert claims.release(first).waiters == [rival]
    assert claims.claim(rival) is Claim.GRANTED


def test_a_malformed_record_conflicts_with_nothing() -> None:
    """It has no token to differ by."""
    claims = Claims()
    first = make_record(1)
    claims.claim(first)
    claims.confirm(first)
    assert claims.claim(make_record(1, token=None)) is Claim.FOLLOWS


def test_a_release_hands_back_what_hung_on_the_claim() -> None:
    """Followers settle, waiters are checked again; the id is free."""
    claims = Claims()
    first, follower, waiter = make_record(1), make_record(1), make_record(1, attempt=2)
    for record in (first, follower, waiter):
        claims.claim(record)
        claims.confirm(first)
    released = claims.release(first)
    assert (released.followers, released.waiters, len(claims)) == ([follower], [waiter], 0)
    assert claims.claim(waiter) is Claim.GRANTED


def test_only_the_holder_releases_and_only_once() -> None:
    """A late release of a record that was given back does not free the id under the one that has it now."""
    claims = Claims()
    first, second = make_record(1), make_record(1)
    claims.claim(first)
    claims.release(first)
    claims.claim(second)
    for stranger in (first, make_record(1), make_record(2)):
        released = claims.release(stranger)
        assert (released.followers, released.waiters) == ([], [])
    assert len(claims) == 1


class BooksMachine(RuleBasedStateMachine):
    """The engine's steps in any order, with few ids so that copies meet: counts stay true, and end at nothing.

    `checking`, `calling` and `unsaved` are where a record is by this model; what hangs on a claim is in none of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = EngineState(slots=3)
        self.offset = 0
        self.checking: list[Record] = []
        self.calling: list[Record] = []
        self.unsaved: list[Record] = []
        self.saved_ids: list[object] = []
        self.assign()

    def assign(self) -> None:
        """Begin an assignment."""
        self.state.windows.open([P0])
        self.state.draining = False

    @precondition(lambda self: not self.state.draining)
    @rule(number=st.integers(1, 3), attempt=st.integers(1, 3), redrive=st.integers(0, 1), due_ms=st.sampled_from((0, 1, 50)))
    def admit(self, number: int, attempt: int, redrive: int, due_ms: int) -> None:
        """Poll a record, fresh or a retry copy; claim its id, or hold it."""
        self.offset += 1
        record = make_record(
            number, window=self.state.windows[P0], offset=self.offset, attempt=attempt, redrive_count=redrive, due_ms=due_ms
        )
        assert self.state.admit(record)
        assert not self.state.admit(record)
        if due_ms > 1:
            self.state.park(record, P0)
        else:
            self.claim([record])

    @rule(now_ms=st.integers(0, 100))
    def release(self, now_ms: int) -> None:
        """Some time passes."""
        self.claim(self.state.release(now_ms))

    def claim(self, records: list[Record]) -> None:
        """Claim ids as the check does."""
        for record in records:
            if self.state.claims.claim(record) is Claim.GRANTED:
                self.checking.append(record)
            else:
                self.state.hang(record)

    @precondition(lambda self: self.checking)
    @rule(skips=st.booleans(), at=st.integers(0, 99))
    def judge(self, at: int, *, skips: bool) -> None:
        """The done-set answers for one record: call it, or pass it."""
        record = self.checking.pop(at % len(self.checking))
        if skips:
            self.claim(self.state.readmit(self.state.settle_uncalled(record)))
        else:
            self.state.ready.append(record)
            self.claim(self.state.readmit(self.state.claims.confirm(record)))

    @precondition(lambda self: self.state.ready and self.state.admission.free_slots() and not self.state.draining)
    @rule()
    def call(self) -> None:
        """Start a call."""
        record, _ = self.state.begin_call()
        self.calling.append(record)

    @precondition(lambda self: self.calling)
    @rule(at=st.integers(0, 99))
    def answer(self, at: int) -> None:
        """A call ends with an answer."""
        record = self.calling.pop(at % len(self.calling))
        self.state.end_call(record)
        self.unsaved.append(record)

    @precondition(lambda self: self.unsaved)
    @rule(at=st.integers(0, 99))
    def save(self, at: int) -> None:
        """A row becomes durable, in whatever assignment that is."""
        self.claim(self.state.readmit(self.state.settle(self.unsaved.pop(at % len(self.unsaved)))))

    @precondition(lambda self: not self.state.draining)
    @rule()
    def revoke(self) -> None:
        """Begin a drain: what was not called is given back."""
        self.state.draining = True
        for record in self.checking:
            self.state.forget(record)
        self.checking.clear()
        self.state.give_back_ready()
        self.state.give_back_ready()

    @precondition(lambda self: self.state.draining)
    @rule()
    def end_drain(self) -> None:
        """Cut off the calls that are left, close, and begin the next assignment."""
        while self.calling:
            record = self.calling.pop()
            self.state.end_call(record)
            self.state.abandon(record)
        self.state.close_books()
        self.assign()

    @invariant()
    def counts_are_true(self) -> None:
        """Each count is the number of records that are there; nothing is negative; every claim has its holder."""
        admission = self.state.admission
        held = self.in_hand()
        waiting = [*self.checking, *self.ready()]
        assert admission.waiting == sum(not record.due_ms for record in waiting)
        assert admission.due_waiting == sum(bool(record.due_ms) for record in waiting)
        assert admission.calling == len(self.calling)
        assert admission.due_calling == sum(bool(record.due_ms) for record in self.calling)
        assert admission.held == len(self.state.hold) == len(self.parked())
        assert admission.unsettled == len(held) + len(self.hanging()) + admission.held
        assert {id(claim.record) for claim in self.state.claims._held.values()} == set(map(id, held))
        assert len({record.record_id for record in held}) == len(held)

    @invariant()
    def open_windows_hold_exactly_what_is_in_hand(self) -> None:
        """No record is in a window and nowhere else, which would hold the offset for ever; none is of a closed one."""
        assert not any(one.window.closed for one in (*self.checking, *self.ready(), *self.calling, *self.parked()))
        known = (*self.in_hand(), *self.hanging(), *self.parked())
        in_hand = {one.offset for one in known if not one.window.closed}
        if not self.state.draining:
            assert {offset for _, window in self.state.windows.items() for offset in window._unsettled} == in_hand

    def ready(self) -> list[Record]:
        """List what is ready."""
        return [*self.state.ready._fresh, *self.state.ready._due]

    def parked(self) -> list[Record]:
        """List what is held."""
        return [record for records in self.state.hold._held.values() for record in records]

    def in_hand(self) -> list[Record]:
        """List the records that hold a claim."""
        return [*self.checking, *self.ready(), *self.calling, *self.unsaved]

    def hanging(self) -> list[Record]:
        """List the copies that hang on a claim."""
        claims = self.state.claims._held.values()
        return [one for claim in claims for one in (*claim.followers, *claim.waiters, *claim.rivals)]

    def teardown(self) -> None:
        """Let everything end: the books are empty."""
        if self.state.draining:
            self.end_drain()
        while self.state.admission.unsettled:
            self.release(100)
            for step in (self.judge_all, self.call_all, self.answer_all, self.save_all):
                step()
        self.counts_are_true()
        assert (len(self.state.claims), len(self.state.windows[P0])) == (0, 0)

    def judge_all(self) -> None:
        """Pass every check."""
        while self.checking:
            self.judge(0, skips=False)

    def call_all(self) -> None:
        """Start every call that has a slot."""
        while self.state.ready and self.state.admission.free_slots():
            self.call()

    def answer_all(self) -> None:
        """End every call."""
        while self.calling:
            self.answer(0)

    def save_all(self) -> None:
        """Write every row."""
        while self.unsaved:
            self.save(0)


TestBooks = BooksMachine.TestCase
TestBooks.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


def test_books_that_do_not_balance_end_the_process() -> None:
    """A record that nobody has any more is a bug: the drain says so instead of going on with wrong bounds."""
    state = EngineState(slots=1)
    state.windows.open([P0])
    state.admit(make_record(1, window=state.windows[P0]))
    with pytest.raises(RuntimeError, match="1 records wait"):
        state.close_books()
    assert make_id(1) not in state.claims._held


def test_a_copy_whose_partition_was_revoked_is_not_checked_again() -> None:
    """It waited for an answer that was saved in the next assignment: its own next owner reads it again."""
    state = EngineState(slots=1)
    state.windows.open([P0])
    state.draining = False
    first = make_record(1, window=state.windows[P0], offset=1)
    waiter = make_record(1, window=state.windows[P0], offset=2, attempt=2)
    for record in (first, waiter):
        state.admit(record)
        state.claims.claim(record)
    state.hang(waiter)
    state.ready.append(first)
    state.begin_call()
    state.end_call(first)
    state.close_books()
    state.windows.open([P0])
    assert state.readmit(state.settle(first)) == []
    assert (state.admission.waiting, state.admission.unsettled, len(state.claims)) == (0, 0, 0)
