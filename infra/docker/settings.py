"""The variables that Compose itself reads from the shell or .env, for docker-compose.yml.

No process reads them: the class stands here so that they are documented like every other setting, and so that a test holds
docker-compose.yml against it, name by name and default by default. What a process reads is in its own settings class.
"""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.settings import Port
from topics.settings import OptionalText


class ComposeSettings(BaseSettings):
    """What is published where, and passwords. A `_port` is that of this machine; those inside of the network are fixed."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, str_strip_whitespace=True
    )

    bind_address: str = Field("127.0.0.1", min_length=1, description="Address of this machine that ports are published on.")
    api_port: Port = Field(8000, description="Port of the HTTP API.")
    kafka_port: Port = Field(9092, description="Port of Kafka.")
    kafka_advertised_host: str = Field(
        "127.0.0.1", min_length=1, description="Name or address by which clients outside of the containers reach Kafka."
    )
    postgres_port: Port = Field(5433, description="Port of PostgreSQL.")
    mock_api_port: Port = Field(8100, description="Port of the mock API.")
    lag_exporter_port: Port = Field(8300, description="Port of the lag exporter.")
    prometheus_port: Port = Field(9090, description="Port of Prometheus.")
    grafana_port: Port = Field(3000, description="Port of Grafana.")
    provider_url: OptionalText = Field(None, description="The API that workers call; the mock API when absent.")
    postgres_password: SecretStr = Field(
        SecretStr("tokenflow"), min_length=1, description="Password of PostgreSQL, taken when its volume is made."
    )
    grafana_admin_user: str = Field("admin", min_length=1, description="User who may change Grafana.")
    grafana_admin_password: SecretStr = Field(
        SecretStr("admin"), min_length=1, description="Password of that user, taken when Grafana's volume is made."
    )
