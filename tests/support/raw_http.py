"""HTTP as bytes: for what no polite HTTP library would send."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ANSWER_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer as it came: header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class RawConnection:
    """One connection; every read has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "RawConnection":
        """Connect to a port of this machine."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(content)
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._writer.drain()

    async def answer(self, *, head_only: bool = False) -> RawAnswer:
        """Read the next answer."""
        async with asyncio.timeout(ANSWER_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            size = 0 if head_only else int(headers["content-length"])
            return RawAnswer(int(first.split()[1]), headers, await self._reader.readexactly(size))

    async def read_some(self) -> bytes:
        """Read what is there, at least a byte."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._reader.read(65_536)

    async def read_exactly(self, size: int) -> bytes:
        """Read so many bytes, whatever they are."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._reader.readexactly(size)

    async def rest(self) -> bytes:
        """Read until the other side closes."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._reader.read()

    async def close(self) -> None:
        """Close, also where the other side was first."""
        self._writer.close()
        with suppress(ConnectionError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._writer.wait_closed()


def get(path: str, *, method: str = "GET", headers: str = "") -> bytes:
    """Return a request without a body; `headers` are whole lines, each with its line end."""
    return f"{method} {path} HTTP/1.1\r\nHost: mock\r\n{headers}\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """Return a request with a body."""
    return f"POST {path} HTTP/1.1\r\nHost: mock\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def scores_of(tokens: Sequence[str]) -> bytes:
    """Return the request for the scores of a batch of tokens."""
    return post("/scores", json.dumps(tokens).encode())


def score_of(token: str) -> bytes:
    """Return the request for a token's score, percent-encoded."""
    return get(f"/score/{quote(token, safe='')}")
