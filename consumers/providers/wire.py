"""The HTTP seam once more, on connections of our own: a GET per token at a third of the CPU that aiohttp's objects take.

Same behaviour as providers/http.py, by the same tests (tests/contract): no redirects, no cookies, no proxy, one deadline for
the whole call, one repeat where a connection ended before any answer, large answers only as far as the worker has room.
"""

import asyncio
import base64
from typing import Self
from urllib.parse import quote

import yarl

from consumers import metrics
from consumers.engine.answers import SMALL_BYTES, Answers
from consumers.engine.record import Record
from consumers.errors import RejectedError
from consumers.providers.body import FIRST_STEP_BYTES
from consumers.providers.connection import Connection, ServerDisconnectedError
from consumers.providers.http import ANSWER_LIMIT_BYTES, checked, idempotency_key, status_error
from consumers.providers.pool import Deadlines, Pool


class WireProvider:
    """Calls `url_template` with `{token}` replaced by the percent-encoded token. Implements consumers.ports.Provider."""

    def __init__(self, url_template: str, *, timeout_seconds: float, answers: Answers | None = None) -> None:
        url = yarl.URL(url_template, encoded=True)
        self._before, self._after = _request_around(url)
        self._address = (url.raw_host or "", url.port or 0)
        self._tls = url.scheme == "https"
        self._timeout_seconds = timeout_seconds
        self._answers = Answers() if answers is None else answers
        self._deadlines = Deadlines(timeout_seconds)
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        self._pool = Pool(*self._address, tls=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._deadlines.close()
        if self._pool is not None:
            await self._pool.close()

    def withdraw(self) -> None:
        """Nothing to give back: a call is sent at once."""

    async def call(self, record: Record) -> str:
        """Ask for the record's token; the answer is JSON text. Ends within the timeout.

        Raises:
            RecordError: there was no HTTP answer, or one that is no answer (see consumers/errors.py).
            TimeoutError: none in time.

        """
        assert self._pool is not None  # noqa: S101 - a bug of ours otherwise
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        request = (
            f"{self._before}{quote(record.token or '', safe='')}{self._after}{idempotency_key(record)}\r\n\r\n".encode()
        )
        try:
            return await self._exchange(self._pool, request, deadline)
        except ServerDisconnectedError:
            # As a server ends the connections that it kept idle. It may have taken the request all the same.
            metrics.REPEATED_CALLS.inc()
            return await self._exchange(self._pool, request, deadline)

    async def _exchange(self, pool: Pool, request: bytes, deadline: float) -> str:
        loop = asyncio.get_running_loop()
        connection = pool.take(loop.time())
        if connection is None:
            async with asyncio.timeout_at(deadline):
                connection = await pool.connect()
        self._deadlines.begin(connection, deadline)
        try:
            connection.send(request)
            if await connection.more():
                await self._read_on(connection, deadline)
            status, retry_after = connection.status, connection.retry_after
            success = 200 <= status < 300  # noqa: PLR2004 - HTTP's own success class
            body = connection.body(limit_bytes=ANSWER_LIMIT_BYTES) if success else connection.excerpt()
        except BaseException:
            pool.drop(connection)
            raise
        finally:
            self._deadlines.end(connection)
        pool.give_back(connection, loop.time())
        if not success:
            raise status_error(status, body, retry_after=retry_after)
        return checked(body)

    async def _read_on(self, connection: Connection, deadline: float) -> None:
        """Read an answer that is more than small; of one that is no success, only the begin."""
        if not 200 <= connection.status < 300:  # noqa: PLR2004 - HTTP's own success class
            connection.close()
            return
        reading = self._answers.begin()
        try:
            while True:
                length = None if connection.encoding else connection.content_length
                if connection.size > ANSWER_LIMIT_BYTES or (length or 0) > ANSWER_LIMIT_BYTES:
                    raise RejectedError(f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes")
                wanted = length or min(ANSWER_LIMIT_BYTES, max(FIRST_STEP_BYTES, 2 * connection.size))
                async with asyncio.timeout_at(deadline):
                    await self._answers.grow(reading, wanted)
                connection.allow(max(wanted, SMALL_BYTES))
                if not await connection.more():
                    return
        finally:
            self._answers.end(reading)


def _request_around(url: yarl.URL) -> tuple[str, str]:
    """Build the request before and behind the token; what comes last is the idempotency key."""
    before, after = url.raw_path_qs.split("{token}")
    host = url.raw_host or ""
    name = f"[{host}]" if ":" in host else host
    lines = [
        f"{after} HTTP/1.1",
        f"Host: {name}" if url.is_default_port() else f"Host: {name}:{url.port}",
        "Accept: application/json",
        "Accept-Encoding: gzip",
        "User-Agent: tokenflow",
    ]
    if url.raw_user is not None or url.raw_password is not None:
        credentials = f"{url.user or ''}:{url.password or ''}".encode()
        lines.append(f"Authorization: Basic {base64.b64encode(credentials).decode()}")
    return f"GET {before}", "\r\n".join([*lines, "Idempotency-Key: "])
