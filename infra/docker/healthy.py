"""`python -m infra.docker.healthy URL`: exit code 0 if the URL answers with 200, else 1 and the reason: a health check.

The image has no curl. Imports little, because it runs every ten seconds in each container; asks no proxy, because it asks
the container that it runs in.
"""

import sys
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 2.5
"""Twice this is below the 6 s that Docker gives the check, so that the reason is told; the API asks Kafka for up to 2 s."""
SHOWN_BYTES: Final = 500


def what_is_wrong(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> str | None:
    """Return None if the URL answers with 200, else why it does not. Blocks at most twice the timeout."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        body = answer.read(SHOWN_BYTES)
    except (OSError, HTTPException) as error:
        return f"{url} does not answer: {error!r}"
    finally:
        connection.close()
    return None if answer.status == 200 else f"{url} answers {answer.status}: {body.decode(errors='replace')}"  # noqa: PLR2004 - HTTP's OK


if __name__ == "__main__":
    reason = what_is_wrong(sys.argv[1])
    sys.exit(reason)
