"""What the addresses in the settings must look like, so that a slip of the pen ends the start and not the first use. Pure.

Whether anybody answers there is found out later, by whoever connects.
"""

import re
from typing import Final

LAST_PORT: Final = 65_535
_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(?::([0-9]+))?")
_DATABASE_HOST = re.compile(r"(?:\[[^]]*\]|[^]:]*)(?::([0-9]*))?")


def is_broker_list(text: str) -> bool:
    """Say whether these are brokers as aiokafka takes them: `host:port` by commas, no scheme; 9092 where no port is."""
    brokers = [broker.strip() for broker in text.split(",") if broker.strip()]
    found = [_BROKER.fullmatch(broker) for broker in brokers]
    return bool(found) and all(match is not None and _is_port(match[1]) for match in found)


def is_database_url(text: str) -> bool:
    """Say whether asyncpg takes it for a URL: sockets, several hosts by commas and IPv6 are its to read."""
    scheme, _, rest = text.partition("://")
    hosts = re.split("[/?]", rest, maxsplit=1)[0].rpartition("@")[2].split(",")
    found = [_DATABASE_HOST.fullmatch(host) for host in hosts]
    return scheme in {"postgresql", "postgres"} and all(match is not None and _is_port(match[1]) for match in found)


def _is_port(digits: str | None) -> bool:
    """Say whether these digits are a port; none stand for the usual one."""
    return not digits or 1 <= int(digits) <= LAST_PORT
