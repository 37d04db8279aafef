"""Settings of the mock API. Built once, in its entry point; nothing else reads the environment.

Real environment variables win over `./.env`; keys that belong to other processes are ignored.
"""

from typing import Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from mock_api.latency import MAX_LATENCY_SECONDS


class MockApiSettingsError(ValueError):
    """The settings cannot be used; the text is one sentence a setting, each naming the variable."""


class MockApiSettings(BaseSettings):
    """Where the mock API listens, and how slow and how faulty it is when it starts (`PUT /profile` changes that live)."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        str_strip_whitespace=True,
    )

    bind_address: str = Field(
        "127.0.0.1", min_length=1, description="Address that the servers of every process listen on; 0.0.0.0 = all."
    )
    mock_api_port: int = Field(8100, ge=0, le=65_535, description="Port of the mock API; 0 = any free one.")
    mock_api_latency_min_seconds: float = Field(
        4, ge=0, le=MAX_LATENCY_SECONDS, description="Shortest time that the mock API takes to answer a call."
    )
    mock_api_latency_max_seconds: float = Field(
        10, ge=0, le=MAX_LATENCY_SECONDS, description="Longest time that the mock API takes to answer a call."
    )
    mock_api_error_ratio: float = Field(
        0, ge=0, le=1, description="Part of the calls that the mock API answers with 500 (0 = none, 0.1 = one in ten)."
    )
    mock_api_seed: int = Field(
        1, ge=0, le=2**63 - 1, description="Seed of the mock API's latencies and errors: same seed, same behaviour."
    )
    mock_api_profile: str | None = Field(
        None, description="How the mock API behaves beyond that: JSON as for PUT /profile (docs/mock-api.md)."
    )
    mock_api_control_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="A second port of the mock API, which answers also while it plays being down; absent = none.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = self.mock_api_latency_min_seconds, self.mock_api_latency_max_seconds
        if low > high:
            msg = (
                f"MOCK_API_LATENCY_MIN_SECONDS={low:g} is above MOCK_API_LATENCY_MAX_SECONDS={high:g}: swap or change them."
            )
            raise ValueError(msg)
        return self


def load_mock_api_settings() -> MockApiSettings:
    """Build the settings from the environment and `./.env`.

    Raises:
        MockApiSettingsError: something is out of range or contradictory; the text says what.

    """
    try:
        return MockApiSettings()
    except ValidationError as error:
        raise MockApiSettingsError("\n".join(_sentence(detail) for detail in error.errors())) from error


def _sentence(detail: ErrorDetails) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    name = "_".join(str(part) for part in detail["loc"]).upper()
    return f"{name}={detail['input']}: {message}" if name else message
