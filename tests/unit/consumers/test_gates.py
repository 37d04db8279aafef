"""Gates: calls that would only fail are not made, and nothing is spent on them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.engine.breaker import Guard
from consumers.engine.gates import DEFERRALS, Ending, GateName, Gates, Permit


@given(
    errors=st.lists(st.sampled_from((None, None, "a", "b")), max_size=60), calls=st.integers(1, 20), ratio=st.floats(0.1, 1)
)
def test_a_guard_closes_exactly_when_too_many_of_the_last_calls_failed(
    errors: list[str | None], calls: int, ratio: float
) -> None:
    """Against the plain definition, with the most frequent errors of the same window."""
    minimum = max(1, calls // 2)
    guard = Guard(calls=calls, minimum=minimum, ratio=ratio, probe_seconds=1)
    for number, error in enumerate(errors, start=1):
        window = errors[max(0, number - calls) : number]
        failed = [one for one in window if one is not None]
        closes = len(window) >= minimum and len(failed) >= ratio * len(window)
        assert guard.note(error, now=number) is closes
        assert sorted(guard.top_errors()) == sorted((one, failed.count(one)) for one in set(failed))
        if closes:
            assert guard.closed
            return


def test_probes_go_one_at_a_time_and_the_first_good_one_opens() -> None:
    """Closed at 0 with a probe each second: none before, none beside another, a failed one waits for the next second."""
    guard = Guard(calls=2, minimum=1, ratio=0.5, probe_seconds=1)
    assert guard.note("down", now=0)
    assert [guard.may_probe(now) for now in (0, 0.9, 1)] == [False, False, True]
    guard.begin_probe()
    assert not guard.may_probe(5)
    guard.end_probe(now=5, succeeded=False)
    assert [guard.may_probe(now) for now in (5.9, 6)] == [False, True]
    guard.begin_probe()
    guard.end_probe(now=7, succeeded=True)
    assert (guard.closed, guard.top_errors()) == (False, [])
    guard.note(None, now=8)
    guard.end_probe(now=8, succeeded=True)
    assert guard.note("down", now=9)


def _gates(flood_ratio: float = 0.5) -> Gates:
    return Gates(flood_ratio=flood_ratio)


def _fail(gates: Gates, ending: Ending, count: int, *, first: bool = True) -> list[GateName]:
    return [name for _ in range(count) for name in gates.ended(ending, first=first, error="why", now=0)]


def test_an_outage_closes_the_breaker_after_twenty_calls_and_a_refusal_opens_it() -> None:
    """19 failures are bad luck; the provider that refuses a token is there."""
    gates = _gates()
    assert _fail(gates, Ending.OUTAGE, 19) == []
    assert (gates.permit(0), gates.defers(Ending.OUTAGE, deferrals=0)) == (Permit.OPEN, False)
    assert _fail(gates, Ending.OUTAGE, 1) == [GateName.BREAKER]
    assert [(gate.name, gate.why) for gate in gates.closed(0)] == [(GateName.BREAKER, "20 x why")]
    assert gates.defers(Ending.OUTAGE, deferrals=0)
    assert (gates.permit(0.5), gates.permit(1)) == (Permit.CLOSED, Permit.PROBE)
    gates.begin_probe()
    assert gates.permit(1) is Permit.CLOSED
    assert gates.end_probe(Ending.REFUSED, now=2)
    assert gates.permit(2) is Permit.OPEN


def test_retries_count_for_nothing_unless_nobody_can_be_reached() -> None:
    """A hundred due poison tokens that fail again close nothing; a refused connection counts, whoever meets it."""
    gates = _gates()
    assert _fail(gates, Ending.OUTAGE, 100, first=False) == []
    assert _fail(gates, Ending.UNREACHABLE, 20, first=False) == [GateName.BREAKER]


def test_a_flood_of_dead_letters_closes_and_only_an_answer_or_an_operator_opens() -> None:
    """Half of a thousand first attempts refused; a probe that is refused is none that succeeded."""
    gates = _gates()
    assert _fail(gates, Ending.ANSWERED, 500) == []
    assert _fail(gates, Ending.REFUSED, 500) == [GateName.DLQ_FLOOD]
    assert (gates.permit(9), gates.permit(10)) == (Permit.CLOSED, Permit.PROBE)
    gates.begin_probe()
    assert not gates.end_probe(Ending.REFUSED, now=11)
    assert gates.wait_seconds(11) == 10
    gates.open(GateName.DLQ_FLOOD)
    assert gates.permit(11) is Permit.OPEN
    assert _fail(_gates(flood_ratio=0), Ending.REFUSED, 3_000) == []


@pytest.mark.parametrize(("asked", "wait"), [(None, 1.0), (30.0, 30.0), (-5.0, 0.0), (1e9, 3_600.0)])
def test_a_rate_limit_closes_for_as_long_as_it_asks(asked: float | None, wait: float) -> None:
    """Within reason; and the longest pause that was asked for counts."""
    gates = _gates()
    gates.limit_rate(asked, now=100)
    assert gates.permit(100 + wait) is Permit.OPEN
    gates.limit_rate(10, now=200)
    gates.limit_rate(2, now=201)
    assert (gates.permit(209.9), gates.wait_seconds(209)) == (Permit.CLOSED, 1)
    assert gates.permit(210) is Permit.OPEN


def test_a_record_meets_a_rate_limit_nine_times_for_nothing() -> None:
    """The tenth time in a row is a failed attempt."""
    gates = _gates()
    assert [gates.defers(Ending.RATE_LIMITED, deferrals=count) for count in (1, DEFERRALS - 1, DEFERRALS)] == [
        True,
        True,
        False,
    ]


def test_a_gate_that_is_closed_by_hand_stays_closed() -> None:
    """Nothing opens it but a hand, and nobody has to look again before."""
    gates = _gates()
    assert gates.close(GateName.MISCONFIGURED, "401", now=0)
    assert not gates.close(GateName.MISCONFIGURED, "401", now=1)
    gates.limit_rate(1, now=0)
    assert (gates.permit(1e6), gates.wait_seconds(0)) == (Permit.CLOSED, None)
    assert gates.defers(Ending.MISCONFIGURED, deferrals=0)
    gates.open(GateName.MISCONFIGURED)
    gates.open(GateName.MISCONFIGURED)
    assert gates.permit(1e6) is Permit.OPEN
