"""The topics of a deployment: names, partitions and broker settings. Pure.

`tokens` takes records in, `tokens.retry.<delay>` holds those to be tried again, `tokens.dlq` is the durable log of dead
letters. The names derive from one base name, and the delay of a retry topic stands in its name because the due time of a
record is the broker's append timestamp plus that delay: a partition is due-ordered by one clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

SECONDS_PER_MINUTE = 60
DAY_MS = 86_400_000
MAX_MESSAGE_BYTES = 1_048_576
"""Largest record of `tokens`, in bytes (Kafka's own default is 1,048,588: 1 MiB and a batch header)."""
HOP_BYTES = 131_072
"""What retry and DLQ records may add to the record they carry: our headers."""
DLQ_PARTITIONS = 3
_RETRY_NAME = re.compile(r"\.retry\.([1-9][0-9]{0,8})([ms])$")


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it should be; `config` maps Kafka's topic settings to their values, as text."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


def retry_topic_name(base: str, delay_minutes: float) -> str:
    """Name the retry topic of a delay: whole minutes `Nm`, else whole seconds `Ns`.

    Raises:
        ValueError: the delay is below one second or not a whole number of seconds.

    """
    seconds = Decimal(str(delay_minutes)) * SECONDS_PER_MINUTE
    if not seconds.is_finite() or seconds < 1 or seconds != seconds.to_integral_value():
        msg = f"RETRY_DELAY_MINUTES={delay_minutes} is {seconds} seconds: use whole seconds, 1 or more (0.05 = 3 s)."
        raise ValueError(msg)
    whole = int(seconds)
    delay = f"{whole // SECONDS_PER_MINUTE}m" if whole % SECONDS_PER_MINUTE == 0 else f"{whole}s"
    return f"{base}.retry.{delay}"


@cache
def retry_delay_seconds(topic: str) -> int:
    """Read the delay in a retry topic's name (`tokens.retry.5m`, `tokens.retry.90s`); 0 for any other topic.

    TOKENS_TOPIC itself is never named like that (topics/settings.py).
    """
    found = _RETRY_NAME.search(topic)
    return 0 if found is None else int(found[1]) * {"m": SECONDS_PER_MINUTE, "s": 1}[found[2]]


def catalogue(
    *, base: str, partitions: int, replication_factor: int, retention_days: float, retry_delay_minutes: float
) -> tuple[TopicSpec, ...]:
    """List the topics of a deployment in the order in which they are made: tokens, retry, DLQ.

    `min.insync.replicas` is max(1, RF - 1): with three replicas one broker may be away, and an acknowledged record is
    always on two. LogAppendTime makes the broker's clock the only one that counts.
    """
    common = {
        "min.insync.replicas": str(max(1, replication_factor - 1)),
        "unclean.leader.election.enable": "false",
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "segment.ms": str(DAY_MS),
    }
    kept = {"retention.ms": str(int(retention_days * DAY_MS))}
    hop = {"max.message.bytes": str(MAX_MESSAGE_BYTES + HOP_BYTES)}
    return (
        TopicSpec(base, partitions, replication_factor, common | kept | {"max.message.bytes": str(MAX_MESSAGE_BYTES)}),
        TopicSpec(retry_topic_name(base, retry_delay_minutes), partitions, replication_factor, common | kept | hop),
        TopicSpec(f"{base}.dlq", DLQ_PARTITIONS, replication_factor, common | hop | {"retention.ms": "-1"}),
    )
