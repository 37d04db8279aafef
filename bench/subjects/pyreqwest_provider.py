"""pyreqwest behind the worker's seam, to be measured beside the clients that the worker has. Not a part of it."""

from datetime import timedelta
from typing import Self
from urllib.parse import quote

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import NetworkError

from consumers.engine.record import Record
from consumers.errors import TransientError
from consumers.providers.http import idempotency_key, status_error


class PyreqwestProvider:
    """Calls `url_template` with `{token}` replaced by the percent-encoded token. Implements consumers.ports.Provider."""

    def __init__(self, url_template: str, *, timeout_seconds: float) -> None:
        self._before, self._after = url_template.split("{token}")
        self._timeout_seconds = timeout_seconds
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        builder = ClientBuilder().timeout(timedelta(seconds=self._timeout_seconds)).follow_redirects(enable=False)
        headers = {"Accept": "application/json", "User-Agent": "tokenflow"}
        self._client = builder.default_headers(headers).http1_only().no_proxy().build()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    def withdraw(self) -> None:
        """Nothing to give back."""

    async def call(self, record: Record) -> str:
        """Ask for the record's token; the text of the answer."""
        assert self._client is not None  # noqa: S101 - a bug of ours otherwise
        url = f"{self._before}{quote(record.token or '', safe='')}{self._after}"
        try:
            response = await self._client.get(url).header("Idempotency-Key", idempotency_key(record)).build().send()
            text: str = await response.text()
        except NetworkError as error:
            raise TransientError(str(error)) from error
        if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's own success class
            raise status_error(response.status, text.encode(), retry_after=response.get_header("retry-after"))
        return text
