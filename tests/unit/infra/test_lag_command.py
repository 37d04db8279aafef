import json

from aiokafka.structs import TopicPartition

from infra.cli.lag import lag_json, lag_table, totals
from topics.lag import NEVER_COMMITTED, GroupLag, PartitionOffsets, group_lag

READING = group_lag(
    "tokenflow",
    {
        TopicPartition("tokens", 0): PartitionOffsets(7, 0, 1_000, 998_500),
        TopicPartition("tokens", 1): PartitionOffsets(NEVER_COMMITTED, 2, 5, 999_000),
        TopicPartition("tokens.retry.5m", 0): PartitionOffsets(None, None, None),
    },
    members=None,
    now_ms=1_000_000,
)


def test_the_table_has_kafkas_columns_and_a_dash_for_what_is_unknown() -> None:
    """A partition that was never committed has a lag without an offset; one that was not read has nothing."""
    assert lag_table(READING).splitlines() == [
        "GROUP      TOPIC            PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  LAG-SECONDS",
        "tokenflow  tokens                   0               7            1000  993        1.500",
        "tokenflow  tokens                   1               -               5    3        1.000",
        "tokenflow  tokens.retry.5m          0               -               -    -            -",
        "total lag - in 3 partitions, oldest - s, members -, 1 partitions never committed",
    ]


def test_the_totals_are_numbers_once_everything_is_known() -> None:
    """And say nothing of partitions without a commit where there are none."""
    known = GroupLag("tokenflow", 3, READING.partitions[:1])
    assert totals(known) == "total lag 993 in 1 partitions, oldest 1.500 s, members 3"


def test_json_is_one_line_and_unknown_is_null() -> None:
    """With the totals beside the partitions."""
    line = lag_json(READING)
    assert b"\n" not in line
    found = json.loads(line)
    assert (found["group"], found["members"], found["lag"], found["lag_seconds"]) == ("tokenflow", None, None, None)
    assert found["partitions"][1] == {
        "topic": "tokens", "partition": 1, "committed_offset": None, "never_committed": True,
        "start_offset": 2, "end_offset": 5, "lag": 3, "lag_seconds": 1.0,
    }  # fmt: skip
    assert found["partitions"][2]["lag"] is None
