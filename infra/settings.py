"""Settings of the local stack and of the commands that operate it; built once, in the entry point of a command.

The ports are those of DESIGN: each part listens on one, and each is a setting. What the processes themselves read
(KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL, API_PORT ...) has the same name here, because the stack hands it down to them.
"""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from topics.settings import OptionalSecret, OptionalText

Port = Annotated[int, Field(ge=1, le=65_535)]


class LocalSettings(BaseSettings):
    """What `tokenflow up` starts, and where it listens."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, str_strip_whitespace=True
    )

    kafka_bootstrap_servers: OptionalText = Field(None, description="Kafka to use; a local one is started when absent.")
    database_url: OptionalSecret = Field(None, description="PostgreSQL to use; a local one is started when absent.")
    bind_address: str = Field("127.0.0.1", min_length=1, description="Address that the API listens on.")
    api_port: Port = Field(8000, description="Port of the API.")
    mock_api_port: Port = Field(8100, description="Port of the mock API.")
    worker_port: Port = Field(8200, description="Worker n answers health and metrics on this port plus n.")
    kafka_port: Port = Field(9092, description="Port of the local Kafka.")
    kafka_controller_port: Port = Field(9093, description="Port of the local Kafka's controller, for itself alone.")
    postgres_port: Port = Field(5433, description="Port of the local PostgreSQL.")
    provider_url: OptionalText = Field(None, description="The API that workers call; the mock API when absent.")
    tokens_topic: str = Field("tokens", min_length=1, description="Topic that tokens arrive in.")
    worker_concurrency: int = Field(50, ge=1, description="With QUEUE_BATCH_SIZE: the calls that a worker holds at most.")
    queue_batch_size: int = Field(100, ge=1, description="With WORKER_CONCURRENCY: the calls that a worker holds at most.")

    @property
    def slots(self) -> int:
        """Calls that one worker has in flight at most."""
        return self.worker_concurrency * self.queue_batch_size
