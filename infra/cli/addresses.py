"""Where Kafka and PostgreSQL are, for commands that use what others run: the stack of this folder, or the settings."""

from dataclasses import dataclass

from infra.errors import ExpectedError
from infra.local.state import StateFolder
from infra.settings import LocalSettings
from topics.settings import load_settings


@dataclass(frozen=True, slots=True)
class Known:
    """What is known; None is not known."""

    kafka_bootstrap_servers: str | None
    database_url: str | None


def of_settings() -> Known:
    """Read KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL (environment or ./.env)."""
    settings = load_settings(LocalSettings)
    url = settings.database_url
    return Known(settings.kafka_bootstrap_servers, None if url is None else url.get_secret_value())


def of_running_stack() -> Known:
    """Ask the stack that runs from the current folder."""
    addresses = StateFolder.here().read_addresses()
    return Known(None, None) if addresses is None else Known(addresses.kafka_bootstrap_servers, addresses.database_url)


def database_url() -> str:
    """Choose what DATABASE_URL says, else the stack that runs from this folder.

    Raises:
        ExpectedError: neither is there.

    """
    found = of_settings().database_url or of_running_stack().database_url
    if found is None:
        msg = "Which database? Run `tokenflow up` in this folder, or set DATABASE_URL."
        raise ExpectedError(msg)
    return found
