from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics.catalogue import TopicSpec, catalogue, retry_topic_name

DAY_MS = 24 * 60 * 60 * 1000


def _catalogue(*, base: str = "tokens", replication_factor: int = 1, retention_days: float = 30) -> tuple[TopicSpec, ...]:
    return catalogue(
        base=base,
        partitions=12,
        replication_factor=replication_factor,
        retention_days=retention_days,
        retry_delay_minutes=5,
    )


@pytest.mark.parametrize(
    ("minutes", "name"),
    [
        (5, "tokens.retry.5m"),
        (5.0, "tokens.retry.5m"),
        (1, "tokens.retry.1m"),
        (1.5, "tokens.retry.90s"),
        (0.05, "tokens.retry.3s"),
        (0.1, "tokens.retry.6s"),
        (0.3, "tokens.retry.18s"),
        (0.7, "tokens.retry.42s"),
        (2.35, "tokens.retry.141s"),
        (1440, "tokens.retry.1440m"),
    ],
)
def test_a_retry_topic_is_named_by_its_delay(minutes: float, name: str) -> None:
    """Whole minutes as minutes, else whole seconds, without an error of binary fractions."""
    assert retry_topic_name("tokens", minutes) == name


@pytest.mark.parametrize("minutes", [0, -5, 0.01, 0.001, 0.0166, 1.51, float("nan"), float("inf"), float("-inf")])
def test_a_delay_that_no_name_can_carry_is_refused(minutes: float) -> None:
    """Below a second, or no whole number of seconds: the sentence names the setting."""
    with pytest.raises(ValueError, match="RETRY_DELAY_MINUTES="):
        retry_topic_name("tokens", minutes)


@given(st.integers(1, 10_000_000))
def test_every_whole_number_of_seconds_has_a_name_of_its_own(seconds: int) -> None:
    """The delay can be read back from the name, so two delays never share a topic."""
    minutes = float(Decimal(seconds) / 60)
    if Decimal(str(minutes)) * 60 != seconds:
        return  # a third of a minute has no exact decimal: such a delay cannot be asked for
    delay = retry_topic_name("a.b", minutes).removeprefix("a.b.retry.")
    assert int(delay[:-1]) * {"s": 1, "m": 60}[delay[-1]] == seconds


def test_the_catalogue_names_the_three_topics_in_the_order_in_which_they_are_made() -> None:
    """The names derive from the base; the DLQ has its own number of partitions."""
    sizes = {spec.name: spec.partitions for spec in _catalogue()}
    assert list(sizes.items()) == [("tokens", 12), ("tokens.retry.5m", 12), ("tokens.dlq", 3)]
    assert [spec.name for spec in _catalogue(base="a.b_c-1")] == ["a.b_c-1", "a.b_c-1.retry.5m", "a.b_c-1.dlq"]


@pytest.mark.parametrize(("factor", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "4")])
def test_one_replica_may_be_away_and_an_acknowledged_record_is_kept(factor: int, in_sync: str) -> None:
    """min.insync.replicas is RF - 1, at least 1, and no unclean election undoes it."""
    for spec in _catalogue(replication_factor=factor):
        assert spec.replication_factor == factor
        assert spec.config["min.insync.replicas"] == in_sync
        assert spec.config["unclean.leader.election.enable"] == "false"


def test_the_brokers_clock_is_the_one_that_counts() -> None:
    """Due times are append times plus a delay: with CreateTime a producer's clock would decide."""
    assert {spec.config["message.timestamp.type"] for spec in _catalogue()} == {"LogAppendTime"}


def test_a_record_at_the_limit_fits_into_retry_and_dlq_with_its_headers() -> None:
    """Both are larger than `tokens` by what a hop adds."""
    tokens, retry, dead = (int(spec.config["max.message.bytes"]) for spec in _catalogue())
    assert (tokens, retry, dead) == (1_048_576, 1_048_576 + 131_072, 1_048_576 + 131_072)


def test_tokens_and_retry_keep_records_for_the_retention_and_the_dlq_for_ever() -> None:
    """Nothing of a topic that is read once is compacted away."""
    tokens, retry, dead = _catalogue(retention_days=1.5)
    assert tokens.config["retention.ms"] == retry.config["retention.ms"] == str(DAY_MS * 3 // 2)
    assert dead.config["retention.ms"] == "-1"
    assert {spec.config["cleanup.policy"] for spec in (tokens, retry, dead)} == {"delete"}
    assert {spec.config["segment.ms"] for spec in (tokens, retry, dead)} == {str(DAY_MS)}
