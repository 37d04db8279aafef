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
    assert claims.claim(make_record(1, attempt=2)) is Claim.FOLLOWS
    assert claims.claim(make_record(1, attempt=1)) is Claim.FOLLOWS
    assert claims.claim(make_record(1, attempt=3)) is Claim.WAITS
    assert claims.claim(make_record(1, attempt=1, redrive_count=1)) is Claim.WAITS
    assert len(claims) == 1


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
    claims.claim(make_record(1))
    assert claims.claim(make_record(1, token=None)) is Claim.FOLLOWS


def test_a_release_hands_back_what_hung_on_the_claim() -> None:
    """Followers settle, waiters are checked again; the id is free."""
    claims = Claims()
    first, follower, waiter = make_record(1), make_record(1), make_record(1, attempt=2)
    for record in (first, follower, waiter):
        claims.claim(record)
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
    @rule(number=st.integers(1, 3), attempt=st.integers(1, 3), redrive=st.integers(0, 1))
    def admit(self, number: int, attempt: int, redrive: int) -> None:
        """Poll a record and claim its id."""
        self.offset += 1
        record = make_record(
            number, window=self.state.windows[P0], offset=self.offset, attempt=attempt, redrive_count=redrive
        )
        assert self.state.admit(record)
        assert not self.state.admit(record)
        self.claim([record])

    def claim(self, records: list[Record]) -> None:
        """Claim ids as the check does."""
        for record in records:
            if self.state.claims.claim(record) is Claim.GRANTED:
                self.checking.append(record)
            else:
                self.state.hang()

    @precondition(lambda self: self.checking)
    @rule(skips=st.booleans(), at=st.integers(0, 99))
    def judge(self, at: int, *, skips: bool) -> None:
        """The done-set answers for one record: call it, or pass it."""
        record = self.checking.pop(at % len(self.checking))
        if skips:
            self.claim(self.state.readmit(self.state.settle_uncalled(record)))
        else:
            self.state.ready.append(record)

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
        self.state.end_call()
        self.unsaved.append(self.calling.pop(at % len(self.calling)))

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
            self.state.end_call()
            self.state.abandon(self.calling.pop())
        self.state.close_books()
        self.assign()

    @invariant()
    def counts_are_true(self) -> None:
        """Each count is the number of records that are there; nothing is negative; every claim has its holder."""
        admission = self.state.admission
        held = [*self.checking, *self.state.ready, *self.calling, *self.unsaved]
        hanging = [one for claim in self.state.claims._held.values() for one in (*claim.followers, *claim.waiters)]
        assert admission.waiting == len(self.checking) + len(self.state.ready)
        assert admission.calling == len(self.calling)
        assert admission.unsettled == len(held) + len(hanging)
        assert {id(claim.record) for claim in self.state.claims._held.values()} == set(map(id, held))
        assert len({record.record_id for record in held}) == len(held)

    @invariant()
    def open_windows_hold_exactly_what_is_in_hand(self) -> None:
        """No record is in a window and nowhere else, which would hold the offset for ever; none is of a closed one."""
        held = [*self.checking, *self.state.ready, *self.calling, *self.unsaved]
        hanging = [one for claim in self.state.claims._held.values() for one in (*claim.followers, *claim.waiters)]
        assert not any(one.window.closed for one in (*self.checking, *self.state.ready, *self.calling))
        in_hand = {one.offset for one in (*held, *hanging) if not one.window.closed}
        if not self.state.draining:
            assert {offset for _, window in self.state.windows.items() for offset in window._unsettled} == in_hand

    def teardown(self) -> None:
        """Let everything end: the books are empty."""
        if self.state.draining:
            self.end_drain()
        while self.state.admission.unsettled:
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
    state.hang()
    state.ready.append(first)
    state.begin_call()
    state.end_call()
    state.close_books()
    state.windows.open([P0])
    assert state.readmit(state.settle(first)) == []
    assert (state.admission.waiting, state.admission.unsettled, len(state.claims)) == (0, 0, 0)
