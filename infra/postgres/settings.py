"""Settings of `tokenflow migrate`: which database, and which Kafka knows the members of a group."""

from pydantic import Field

from topics.settings import LOCAL_DATABASE_URL, DatabaseUrl, KafkaSettings


class MigrateSettings(KafkaSettings):
    """The database to migrate; Kafka is asked only when a group is adopted."""

    database_url: DatabaseUrl = Field(LOCAL_DATABASE_URL, description="PostgreSQL that stores the outcomes.")
