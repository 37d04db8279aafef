from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mock_api.ledger import ENDS, Ledger

tokens = st.sampled_from(["a", "b", "c"])
batches = st.lists(tokens, min_size=1, max_size=5)
steps = st.lists(st.one_of(tokens, batches, st.integers(0, len(ENDS) - 1), st.none()), max_size=60)


@given(steps)
def test_the_sums_always_agree(script: list[str | list[str] | int | None]) -> None:
    """Calls = all ends + those in flight since the reset, whatever the order (None = reset), an id being a call."""
    ledger, running, counted = Ledger(), list[tuple[int, int]](), Counter[str]()
    for step in script:
        if step is None:
            ledger.reset()
            counted.clear()
        elif isinstance(step, str):
            counted[step] += 1
            assert ledger.begin(step) == counted[step]
            running.append((ledger.epoch, 1))
        elif isinstance(step, list):
            numbers = ledger.begin_batch(step)
            for token, number in zip(step, numbers, strict=True):
                counted[token] += 1
                assert number == counted[token]
            running.append((ledger.epoch, len(step)))
        elif running:
            epoch, calls = running.pop(0)
            ledger.end(ENDS[step], epoch, calls)
        _assert_sums(ledger, running, counted)


def _assert_sums(ledger: Ledger, running: list[tuple[int, int]], counted: Counter[str]) -> None:
    in_flight = sum(calls for _, calls in running)
    since_reset = sum(calls for epoch, calls in running if epoch == ledger.epoch)
    assert ledger.in_flight == in_flight <= ledger.max_in_flight
    totals = ledger.summary(0)
    assert totals["calls"] == sum(ledger.ends[end] for end in ENDS) + since_reset == counted.total()
    assert totals["distinct_tokens"] == len(counted)
    assert totals["repeated_calls"] == counted.total() - len(counted) == len(ledger.repeats)
    assert Counter(token for token, _ in ledger.repeats) == counted - Counter(set(counted))
    assert totals["max_calls_of_one_token"] == max(counted.values(), default=0)


def test_what_is_refused_at_the_door_is_no_call() -> None:
    """It was a request, and nothing was bought."""
    ledger = Ledger()
    for now in (0.0, 0.5, 1.25):
        ledger.arrive(now)
    ledger.refuse("rate_limited")
    totals = ledger.summary(1.3)
    assert (totals["requests"], totals["max_requests_in_a_second"], totals["requests_in_the_last_second"]) == (3, 2, 2)
    assert (totals["rate_limited"], totals["refused_while_down"], totals["calls"]) == (1, 0, 0)
