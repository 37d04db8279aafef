"""Small questions to the HTTP parts of the stack, on this machine: no proxy, no redirects, always a deadline."""

import asyncio
import json
from dataclasses import dataclass
from typing import Final

PROBE_SECONDS: Final = 2.0
"""A part that has not answered by then is asked again later."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an HTTP part listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


async def is_ok(endpoint: Endpoint, path: str) -> bool:
    """Tell whether a GET of the path is answered with 200; anything else, no answer included, is False."""
    status, _ = await _get(endpoint, path, with_body=False)
    return status == 200  # noqa: PLR2004 - HTTP's own number


async def read_json(endpoint: Endpoint, path: str) -> dict[str, object] | None:
    """Read a JSON object, or None when there is no such answer."""
    status, body = await _get(endpoint, path, with_body=True)
    try:
        answer = json.loads(body) if status == 200 else None  # noqa: PLR2004 - HTTP's own number
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


async def _get(endpoint: Endpoint, path: str, *, with_body: bool) -> tuple[int, bytes]:
    """Return status and body; (0, b"") when nobody answers in time."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            try:
                host = endpoint.url.removeprefix("http://")
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                return int(head.split(maxsplit=2)[1]), await reader.read() if with_body else b""
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError):
        return 0, b""
