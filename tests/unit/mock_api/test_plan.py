import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_api.plan import OK, Plan, Planner
from mock_api.profile import KINDS, Kind, Profile

tokens = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
bounds = st.tuples(st.floats(0, 60), st.floats(0, 60)).map(sorted)
MANY = [str(number) for number in range(10_000)]


def _profile(**fields: object) -> Profile:
    return Profile().changed(json.dumps(fields).encode())


def _plans(profile: Profile, number: int = 1) -> list[Plan]:
    planner = Planner(profile)
    return [planner.plan(token, number) for token in MANY]


@given(tokens, st.integers(1, 10), bounds, st.floats(0, 1), st.integers(0, 2**63 - 1))
def test_a_plan_is_a_function_of_profile_token_and_number(
    token: str, number: int, limits: list[float], ratio: float, seed: int
) -> None:
    """The same call is planned the same way, inside the profile's bounds."""
    profile = Profile(
        latency_min_seconds=limits[0],
        latency_max_seconds=limits[1],
        error_ratio=ratio / 2,
        misbehaviours={"nul": ratio / 2},
        seed=seed,
    )
    decided = Planner(profile).plan(token, number)
    assert decided == Planner(profile).plan(token, number)
    assert limits[0] <= decided.delay_seconds <= limits[1] + 1e-9
    assert (decided.status, decided.kind) in {(200, None), (500, None), (200, "nul")}


@given(tokens, st.integers(1, 10))
def test_the_ends_of_a_ratio_are_exact(token: str, number: int) -> None:
    """0 never happens and 1 always does, for each fault."""
    assert not Planner(_profile(statuses={"503": 0}, misbehaviours={"cut_half": 0})).plan(token, number).faulty
    assert Planner(_profile(error_ratio=1)).plan(token, number).status == 500
    assert Planner(_profile(statuses={"429": 1})).plan(token, number).status == 429
    for kind in KINDS:
        assert Planner(_profile(misbehaviours={kind: 1})).plan(token, number).kind == kind


@pytest.mark.parametrize("seed", [1, 2, 77])
def test_faults_come_at_their_ratios(seed: int) -> None:
    """Of 10,000 tokens each fault has its share, to five standard deviations, and the rest is good."""
    shares: dict[int | Kind, float] = {500: 0.1, 429: 0.05, 503: 0.02, "nul": 0.01, "hang": 0.03, "cut_half": 0.2}
    profile = _profile(
        seed=seed,
        error_ratio=0.1,
        statuses={"429": 0.05, "503": 0.02},
        misbehaviours={"nul": 0.01, "hang": 0.03, "cut_half": 0.2},
    )
    found = Counter[int | str](plan.kind or plan.status for plan in _plans(profile))
    for fault, ratio in (shares | {OK: 1 - sum(shares.values())}).items():
        deviation = (ratio * (1 - ratio) * len(MANY)) ** 0.5
        assert found[fault] == pytest.approx(ratio * len(MANY), abs=5 * deviation), fault
    assert found.total() == len(MANY)


def test_which_calls_go_wrong_is_a_matter_of_the_seed() -> None:
    """The same under the same seed, whatever the order in which the profile was written; others under another one."""
    one = _profile(misbehaviours={"nul": 0.3, "drip": 0.3})
    assert _plans(one) == _plans(_profile(misbehaviours={"drip": 0.3, "nul": 0.3}))
    assert [plan.kind for plan in _plans(one)] != [plan.kind for plan in _plans(one.changed(b'{"seed": 2}'))]


def test_the_calls_of_one_token_are_independent() -> None:
    """Of the tokens that failed once, as many fail again as of all: half."""
    profile = _profile(error_ratio=0.5)
    again = [
        second.status for first, second in zip(_plans(profile, 1), _plans(profile, 2), strict=True) if first.status == 500
    ]
    assert again.count(500) / len(again) == pytest.approx(0.5, abs=0.05)


@given(tokens, st.integers(0, 5), st.sampled_from([500, 429, "cut_before", "nul"]))
def test_the_first_calls_of_a_token_fail_and_the_next_succeeds(token: str, calls: int, fault: int | Kind) -> None:
    """Exactly n, with the fault that was asked for."""
    planner = Planner(_profile(fail_first_calls=calls, fail_first_with=fault))
    plans = [planner.plan(token, number) for number in range(1, calls + 3)]
    assert [plan.kind or plan.status for plan in plans] == [fault] * calls + [OK, OK]


def test_a_hang_lasts_as_long_as_hangs_do() -> None:
    """Not as long as a latency; the other kinds take the latency first."""
    hanging, cut = _profile(misbehaviours={"hang": 1}, hang_seconds=99), _profile(misbehaviours={"cut_before": 1})
    assert Planner(hanging).plan("1", 1).delay_seconds == 99
    assert 4 <= Planner(cut).plan("1", 1).delay_seconds <= 10


def test_a_rule_is_for_its_tokens_alone() -> None:
    """By name or by an expression that the whole token matches; what the rule leaves out is as for all others."""
    planner = Planner(
        _profile(
            latency_min_seconds=1,
            latency_max_seconds=1,
            error_ratio=1,
            rules=[
                {"tokens": ["b-1"], "behaviour": {"statuses": {"404": 1}, "error_ratio": 0}},
                {"pattern": "b-.*", "behaviour": {"error_ratio": 0, "misbehaviours": {"nul": 1}}},
                {"pattern": "d", "behaviour": {"error_ratio": 0, "statuses": {"403": 1}}},
                {"pattern": ".*-.*", "behaviour": {"error_ratio": 0, "latency": {"distribution": "fixed", "seconds": 3}}},
            ],
        )
    )
    found = {token: planner.plan(token, 1) for token in ("a", "b-1", "b-2", "c-b-1", "b", "d", "dd")}
    assert {token: (plan.delay_seconds, plan.kind or plan.status) for token, plan in found.items()} == {
        "a": (1, 500),
        "b-1": (1, 404),
        "b-2": (1, "nul"),
        "c-b-1": (3, 200),
        "b": (1, 500),
        "d": (1, 403),
        "dd": (1, 500),
    }


def test_a_token_that_is_named_comes_before_a_pattern() -> None:
    """Wherever the rule stands; of two rules that name it the first counts."""
    planner = Planner(
        _profile(
            rules=[
                {"pattern": ".*", "behaviour": {"statuses": {"400": 1}}},
                {"tokens": ["x"], "behaviour": {"statuses": {"401": 1}}},
                {"tokens": ["x"], "behaviour": {"statuses": {"402": 1}}},
            ]
        )
    )
    assert [planner.plan(token, 1).status for token in ("x", "y")] == [401, 400]


def test_a_batch_is_planned_as_a_call_of_its_first_id() -> None:
    """Latency and fault are those of that call; nothing is different for any id."""
    planner = Planner(_profile(error_ratio=0.5))
    for token in MANY[:100]:
        batch = planner.plan_batch([token, "x", "y"], [1, 1, 1])
        assert (batch.plan, batch.left_out, batch.spoilt) == (planner.plan(token, 1), set(), {})


def test_a_spoilt_value_costs_one_id_of_a_batch() -> None:
    """The first one; the call itself is good then."""
    batch = Planner(_profile(misbehaviours={"huge_number": 1})).plan_batch(["a", "b"], [1, 1])
    assert (batch.plan.faulty, set(batch.spoilt), batch.left_out) == (False, {"a"}, set())


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12), st.integers(0, 1000))
def test_an_id_of_a_batch_has_one_fault_at_most(ids: list[str], seed: int) -> None:
    """Missing or spoilt, also where it stands twice; what is different is different for an id of the batch."""
    rules = [{"pattern": "[ab]", "behaviour": {"misbehaviours": {"nul": 0.5, "hang": 0.3}, "left_out_ratio": 0.5}}]
    profile = _profile(rules=rules, misbehaviours={"deep_json": 0.5}, left_out_ratio=0.3, seed=seed)
    batch = Planner(profile).plan_batch(ids, [ids[: n + 1].count(token) for n, token in enumerate(ids)])
    assert not batch.left_out & set(batch.spoilt)
    assert batch.left_out | set(batch.spoilt) <= set(ids)


def test_ids_are_left_out_at_their_ratio() -> None:
    """Which ones is a matter of seed, token and number of the call, not of the batch that they are in."""
    planner = Planner(_profile(left_out_ratio=0.2))
    whole = planner.plan_batch(MANY, [1] * len(MANY)).left_out
    assert len(whole) == pytest.approx(2000, abs=200)
    halves = (MANY[:5000], MANY[5000:])
    assert whole == set().union(*(planner.plan_batch(half, [1] * 5000).left_out for half in halves))
    assert planner.plan_batch(MANY, [2] * len(MANY)).left_out != whole


def test_the_ids_of_a_rule_go_wrong_inside_a_batch() -> None:
    """A spoilt value where the fault lies in a value, else missing; the call as a whole is not touched by the rule."""
    rules = [
        {"tokens": ["bad"], "behaviour": {"statuses": {"404": 1}}},
        {"tokens": ["odd"], "behaviour": {"misbehaviours": {"nul": 1}}},
        {"tokens": ["cut"], "behaviour": {"misbehaviours": {"cut_half": 1}}},
        {"tokens": ["late"], "behaviour": {"fail_first_calls": 1}},
    ]
    batch = Planner(_profile(rules=rules)).plan_batch(["bad", "odd", "cut", "late", "good"], [1, 1, 1, 2, 1])
    assert (batch.plan.faulty, batch.left_out, set(batch.spoilt)) == (False, {"bad", "cut"}, {"odd"})
