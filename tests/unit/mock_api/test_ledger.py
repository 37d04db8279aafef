from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mock_api.ledger import End, Ledger

steps = st.lists(st.one_of(st.sampled_from(["a", "b", "c"]), st.sampled_from([0, 1, 2]), st.none()), max_size=60)
ENDS: tuple[End, ...] = ("answered", "failed", "disconnected")


@given(steps)
def test_the_sums_always_agree(script: list[str | int | None]) -> None:
    """Calls = answered + failed + disconnected + those in flight since the reset, whatever the order (None = reset)."""
    ledger, running, counted = Ledger(), list[int](), Counter[str]()
    for step in script:
        if step is None:
            ledger.reset()
            counted.clear()
        elif isinstance(step, str):
            counted[step] += 1
            assert ledger.begin(step) == counted[step]
            running.append(ledger.epoch)
        elif running:
            ledger.end(ENDS[step], running.pop(0))
        totals = ledger.summary()
        assert totals["in_flight"] == len(running) <= totals["max_in_flight"]
        since_reset = sum(epoch == ledger.epoch for epoch in running)
        assert totals["calls"] == totals["answered"] + totals["failed"] + totals["disconnected"] + since_reset
        assert totals["calls"] == counted.total()
        assert totals["distinct_tokens"] == len(counted)
        assert totals["repeated_calls"] == counted.total() - len(counted)
        assert totals["max_calls_of_one_token"] == max(counted.values(), default=0)
