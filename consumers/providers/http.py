"""The one HTTP seam: a GET per token. Turns statuses into errors of consumers/errors.py; what they mean is decided there.

aiohttp on uvloop, one session, no cookie jar, no limit of its own on connections (slots are the limit). The deadline is the
client's own total timeout: asyncio.timeout per task would cost 9 us (facts: performance, section 4).
"""

import asyncio
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Self
from urllib.parse import quote

import aiohttp
import msgspec
import yarl

from consumers import metrics
from consumers.engine.answers import Answers
from consumers.engine.record import Record
from consumers.errors import (
    MisconfiguredError,
    RateLimitedError,
    RecordError,
    RejectedError,
    ServerError,
    TransientError,
)
from consumers.providers.body import read_body

ANSWER_LIMIT_BYTES = 1_048_576
"""Largest answer that is read; a provider that sends more is answered with a dead letter, not with our memory."""
EXCERPT_BYTES = 200
_ANY = msgspec.json.Decoder(msgspec.Raw)
"""Checks the grammar and builds nothing: a number that no float can hold is JSON too, and Postgres stores it."""
TRANSIENT_STATUSES = frozenset({408, 425})


class HttpProvider:
    """Calls `url_template` with `{token}` replaced by the percent-encoded token. Implements consumers.ports.Provider."""

    def __init__(self, url_template: str, *, timeout_seconds: float, answers: Answers | None = None) -> None:
        self._before, self._after = url_template.split("{token}")
        self._timeout_seconds = timeout_seconds
        self._answers = Answers() if answers is None else answers
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session(self._timeout_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def withdraw(self) -> None:
        """Nothing to give back: a call is sent at once."""

    async def call(self, record: Record) -> str:
        """Ask for the record's token; the answer is JSON text. Ends within the timeout.

        Raises:
            RecordError: the provider answered with something that is no answer (see consumers/errors.py).
            aiohttp.ClientError: there was no HTTP answer.
            TimeoutError: none in time.

        """
        assert self._session is not None  # noqa: S101 - a bug of ours otherwise
        url = yarl.URL(f"{self._before}{quote(record.token or '', safe='')}{self._after}", encoded=True)
        headers = {"Idempotency-Key": idempotency_key(record)}
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        async with await self._send(self._session, url, headers) as response:
            body = await read_body(response, limit_bytes=ANSWER_LIMIT_BYTES, answers=self._answers, deadline=deadline)
        if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's own success class
            raise status_error(response.status, body, retry_after=response.headers.get("Retry-After"))
        return checked(body)

    async def _send(
        self, session: aiohttp.ClientSession, url: yarl.URL, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send one request; once more where the connection ended before any answer, as a server ends those it kept idle.

        It may have taken the request all the same, so the second one counts as a possible repeat. Both share the timeout.
        """
        started = monotonic()
        try:
            return await session.get(url, headers=headers, allow_redirects=False)
        except aiohttp.ServerDisconnectedError:
            left = self._timeout_seconds - (monotonic() - started)
            if left <= 0:
                raise
            metrics.REPEATED_CALLS.inc()
            timeout = aiohttp.ClientTimeout(total=left)
            return await session.get(url, headers=headers, allow_redirects=False, timeout=timeout)


def open_session(timeout_seconds: float) -> aiohttp.ClientSession:
    """Open a session for calls by the thousand. Build it inside the running loop.

    aiohttp repeats a GET by itself when its connection ends (3.14, client.py), which nobody would count: that is switched
    off by the attribute that its own test client sets, for want of an argument.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        read_bufsize=16384,
        headers={"Accept": "application/json", "User-Agent": "tokenflow"},
    )
    session._retry_connection = False  # noqa: SLF001 - as said above
    return session


def idempotency_key(record: Record) -> str:
    """Name one try of one record, the same however often it is sent. Pure."""
    return f"{record.record_id}-{record.redrive_count}-{record.attempt}"


def status_error(status: int, body: bytes, *, retry_after: str | None) -> RecordError:
    """Name what a status that is no success means for the record. Pure."""
    sentence = f"HTTP {status}: {excerpt(body)}"
    if status == 429 or (status == 503 and retry_after is not None):  # noqa: PLR2004 - HTTP's own numbers
        return RateLimitedError(sentence, retry_after_seconds=retry_after_seconds(retry_after))
    if status == 401:  # noqa: PLR2004 - as above
        return MisconfiguredError(sentence)
    if status >= 500:  # noqa: PLR2004 - as above
        return ServerError(sentence)
    if status in TRANSIENT_STATUSES:
        return TransientError(sentence)
    return RejectedError(sentence)


def retry_after_seconds(text: str | None) -> float | None:
    """Read a Retry-After: seconds, or a date (RFC 9110, 10.2.3); None for anything else. Never negative."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text) if len(text) < len("1000000000") else None
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - time()) if at.tzinfo else None


def excerpt(body: bytes) -> str:
    """Show the begin of an answer. Pure."""
    return body[:EXCERPT_BYTES].decode("utf-8", "replace").strip() or "(empty answer)"


def checked(body: bytes) -> str:
    """See that an answer is JSON in UTF-8, and return its text unchanged."""
    try:
        _ANY.decode(body)
        return body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TransientError(f"the answer is not JSON: {error}: {body[:EXCERPT_BYTES]!r}") from error
