"""The worker's settings. One number, the call timeout, derives the deadlines that must fit into each other.

    call timeout -> drain limit -> rebalance timeout -> termination grace

A drain that outlasts the rebalance timeout is a livelock (measured: 64 % of calls paid twice), so none of these three can
be set by itself.
"""

import re
from typing import Literal, Self

import yarl
from pydantic import Field, model_validator

from topics.settings import LOCAL_DATABASE_URL, DatabaseUrl, KafkaSettings, OptionalText

FLUSH_SECONDS = 9.0
"""Of a drain, for writing the last answers: a statement of 500 rows takes 6 ms, so this is for a database under stress."""
CALL_SLACK_SECONDS = 1.0
"""aiohttp rounds time-outs above 5 s up to whole seconds (3.14, helpers.calculate_timeout_when)."""
REBALANCE_MARGIN_SECONDS = 15.0
"""Above the drain limit: the last commit (5 s) and the broker's own delays."""
TERMINATION_MARGIN_SECONDS = 15.0
HEARTBEAT_MS = 1_000
"""At 3 s, others learn of a join up to 3 s late (facts: engine, section 3)."""


class WorkerSettings(KafkaSettings):
    """One worker process. WORKER_CONCURRENCY x QUEUE_BATCH_SIZE = the calls that it has in flight at most."""

    database_url: DatabaseUrl = Field(LOCAL_DATABASE_URL, description="PostgreSQL that stores the outcomes.")
    bind_address: str = Field("127.0.0.1", min_length=1, description="Address that health and metrics listen on.")
    worker_port: int = Field(8200, ge=1, le=65_535, description="Worker n answers health and metrics on this port plus n.")
    worker_index: int = Field(1, ge=0, le=10_000, description="Number of this worker on its machine, from 1.")

    worker_concurrency: int = Field(50, ge=1, le=10_000, description="With QUEUE_BATCH_SIZE: calls in flight at most.")
    queue_batch_size: int = Field(100, ge=1, le=10_000, description="With WORKER_CONCURRENCY: calls in flight at most.")
    commit_interval_seconds: float = Field(
        0.5,
        ge=0.05,  # below, an idle worker would spin
        le=60,
        description="Time between two commits of offsets.",
    )

    provider_url: str = Field(
        "http://127.0.0.1:8100/score/{token}", description="The external API, called with GET; {token} is percent-encoded."
    )
    provider_batch_url: OptionalText = Field(
        None, description="Batch endpoint of the API: WORKER_CONCURRENCY calls of QUEUE_BATCH_SIZE ids each; used if set."
    )
    provider_client: Literal["aiohttp", "wire"] = Field(
        "aiohttp",
        description="HTTP client of single calls: aiohttp, or wire, our own, at half the CPU a token (decision 0012).",
    )
    provider_timeout_seconds: float = Field(30, gt=0, le=3600, description="Hard limit of one call, connecting included.")

    watchdog_minutes: float = Field(
        5,
        gt=0,
        le=1440,
        description="A worker with due work that does not move for a drain limit and this long ends itself.",
    )

    kafka_session_timeout_seconds: float = Field(
        12, ge=6, le=300, description="A killed worker's partitions move after this long; static ids want 30 to 45."
    )
    kafka_group_instance_id: OptionalText = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,240}$",  # Kafka takes what can name a topic
        description="Static member id, with -WORKER_INDEX behind it: free restarts of a fixed fleet, idle partitions after "
        "a scale-down.",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not _is_url_template(self.provider_url):
            msg = "PROVIDER_URL cannot be called: use http(s)://host/... with {token} once, after the host, percent-encoded."
            raise ValueError(msg)
        if self.provider_batch_url is not None and not _is_url(self.provider_batch_url):
            msg = "PROVIDER_BATCH_URL cannot be called: use http(s)://host/..., percent-encoded."
            raise ValueError(msg)
        if self.health_port > 65_535:  # noqa: PLR2004 - the last port there is
            msg = f"WORKER_PORT={self.worker_port} plus WORKER_INDEX={self.worker_index} is above 65535: lower one of them."
            raise ValueError(msg)
        if self.slots > 100_000:  # noqa: PLR2004 - said in the sentence
            msg = (
                f"WORKER_CONCURRENCY x QUEUE_BATCH_SIZE = {self.worker_concurrency} x {self.queue_batch_size} = {self.slots}"
                " calls in flight: use at most 100000 a worker, and more workers."
            )
            raise ValueError(msg)
        return self

    @property
    def slots(self) -> int:
        """Calls that this worker has in flight at most."""
        return self.worker_concurrency * self.queue_batch_size

    @property
    def connections(self) -> int:
        """Connections to the API at most: one a call, and a batch is one call."""
        return self.slots if self.provider_batch_url is None else self.worker_concurrency

    @property
    def static_id(self) -> str | None:
        """Static member id of this worker; two live ones with the same id would evict each other for ever."""
        return None if self.kafka_group_instance_id is None else f"{self.kafka_group_instance_id}-{self.worker_index}"

    @property
    def health_port(self) -> int:
        """Port of health and metrics."""
        return self.worker_port + self.worker_index

    @property
    def drain_limit_seconds(self) -> float:
        """Longest drain: every running call ends within its timeout, then the flush."""
        return self.provider_timeout_seconds + CALL_SLACK_SECONDS + FLUSH_SECONDS

    @property
    def rebalance_timeout_seconds(self) -> float:
        """How long the broker waits for this member in a rebalance."""
        return self.drain_limit_seconds + REBALANCE_MARGIN_SECONDS

    @property
    def start_deadline_seconds(self) -> float:
        """A joiner waits for the drain of every other member, then for the broker."""
        return self.rebalance_timeout_seconds + 30.0

    @property
    def pause_seconds(self) -> float:
        """How long this process may stand still before it must ask whether it is a member still: before it is replaced."""
        return self.kafka_session_timeout_seconds / 2

    @property
    def stuck_seconds(self) -> float:
        """How long a worker with due work may stand still before it counts as stuck: longer than any call or drain."""
        return self.drain_limit_seconds + self.watchdog_minutes * 60

    @property
    def termination_grace_seconds(self) -> float:
        """How long whoever stops this process should wait before it kills it."""
        return self.drain_limit_seconds + TERMINATION_MARGIN_SECONDS


def _is_url_template(text: str) -> bool:
    """Whether a URL can be called once `{token}` is filled in, which stands in it once, after the host."""
    host = text.partition("://")[2].partition("/")[0]
    return text.count("{token}") == 1 and "{token}" not in host and _is_url(text.replace("{token}", "1"))


def _is_url(text: str) -> bool:
    """Whether a URL can be called: nothing is left to fail at every call alike."""
    if not re.fullmatch(r"(?i:https?)://[^/{}\s]+/[!-~]*", text) or "#" in text:
        return False
    try:
        url = yarl.URL(text, encoded=True)
        return bool(url.host) and bool(url.port)
    except ValueError:
        return False
