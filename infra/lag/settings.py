"""Settings of `tokenflow lag`, as a command and as the exporter; built once, in the entry point."""

from pydantic import Field

from infra.settings import Port
from topics.settings import KafkaSettings


class LagSettings(KafkaSettings):
    """Which group to read, and where the exporter listens."""

    lag_exporter_port: Port = Field(8300, description="Port of the lag exporter (tokenflow lag --listen).")
    bind_address: str = Field("127.0.0.1", min_length=1, description="Address that the lag exporter listens on.")
