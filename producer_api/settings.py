"""Settings of the HTTP API: Kafka's (topics.settings) and its own. Built once, in its entry point."""

import ipaddress
from typing import Self

from pydantic import Field, model_validator

from topics.settings import LOCAL_DATABASE_URL, DatabaseUrl, KafkaSettings

LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain"})


class ApiSettings(KafkaSettings):
    """Where the API listens, which database it reads, and how much it holds while Kafka or an outcome lets it wait."""

    bind_address: str = Field(
        "127.0.0.1", min_length=1, description="Address that the servers of every process listen on; 0.0.0.0 = all."
    )
    api_port: int = Field(8000, ge=0, le=65_535, description="Port of the HTTP API; 0 = any free one.")
    api_allow_anonymous: bool = Field(
        default=False, description="Allow an address other than loopback although no API key is asked for."
    )
    database_url: DatabaseUrl = Field(LOCAL_DATABASE_URL, description="PostgreSQL database of the outcomes.")
    api_database_connections: int = Field(
        4, ge=1, le=100, description="Most database connections of the API, beside the one that counts for GET /status."
    )
    api_produce_timeout_seconds: float = Field(
        10, gt=0, le=300, description="How long a POST waits for Kafka's acknowledgement before it answers 503."
    )
    api_max_unacknowledged_produces: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Records handed to Kafka and not yet acknowledged; above it a POST answers 503 at once.",
    )
    api_max_wait_seconds: float = Field(60, ge=0, le=600, description="Largest wait_seconds of a GET.")
    api_max_waiters: int = Field(
        10_000, ge=1, le=100_000, description="GETs that wait for an outcome at the same time; above it they answer 503."
    )
    api_outcome_poll_seconds: float = Field(
        0.15, ge=0.01, le=10, description="How often the database is asked for all awaited outcomes together."
    )

    outcomes_retention_days: float = Field(
        0,
        ge=0,
        le=36_500,
        allow_inf_nan=False,
        description="Days that a final outcome is kept, and at least as long as Kafka has its record; 0 = for ever.",
    )
    dead_letters_retention_days: float = Field(
        0, ge=0, le=36_500, allow_inf_nan=False, description="Days that an open dead letter is kept; 0 = for ever."
    )

    @model_validator(mode="after")
    def _safe_to_listen(self) -> Self:
        if not is_loopback(self.bind_address) and not self.api_allow_anonymous:
            msg = (
                f"BIND_ADDRESS={self.bind_address} lets other machines in, and the API asks for no key: "
                "use 127.0.0.1, or set API_ALLOW_ANONYMOUS=true if something in front of it guards it."
            )
            raise ValueError(msg)
        return self


def is_loopback(address: str) -> bool:
    """Say whether only this machine can reach `address`."""
    if address.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
