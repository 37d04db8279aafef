"""Settings of `tokenflow migrate`: which database, and which Kafka knows the members of a group."""

from pydantic import Field, SecretStr

from topics.settings import KafkaSettings


class MigrateSettings(KafkaSettings):
    """The database to migrate; Kafka is asked only when a group is adopted."""

    database_url: SecretStr = Field(
        SecretStr("postgresql://tokenflow@127.0.0.1:5433/tokenflow"), description="PostgreSQL that stores the outcomes."
    )
