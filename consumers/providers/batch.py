"""A provider with a batch endpoint: one POST of a JSON list of ids, the answers keyed by id.

Calls of single records gather here, for LINGER_SECONDS or until a batch is full; at most `calls` batches are on their way,
and what comes meanwhile fills the next ones. A token costs a fortieth of a call of its own (facts: performance, section 1).
State: `_waiting` grows in `call`, shrinks in `_send` and `withdraw`; one event loop, no lock.
"""

import asyncio
import hashlib
from collections import deque
from typing import Self

import aiohttp
import msgspec

from consumers.engine.answers import Answers
from consumers.engine.record import Record
from consumers.engine.tasks import TaskSet
from consumers.errors import NotSentError, RejectedError, TransientError
from consumers.providers.body import read_body
from consumers.providers.http import ANSWER_LIMIT_BYTES, excerpt, idempotency_key, open_session, status_error

LINGER_SECONDS = 0.05
BATCH_LIMIT_BYTES = 16_777_216
"""Largest answer for a whole batch: 16 KiB an id at 1,000 ids. One of 250 MB took 1.3 GB of memory until it was read."""
_ANSWERS = msgspec.json.Decoder(dict[str, msgspec.Raw])

Waiting = tuple[Record, "asyncio.Future[str]"]


class BatchProvider:
    """Calls `url` with up to `size` ids at a time, `calls` at once. Implements consumers.ports.Provider."""

    def __init__(self, url: str, *, size: int, calls: int, timeout_seconds: float, answers: Answers | None = None) -> None:
        self._url = url
        self._size = size
        self._free_calls = calls
        self._timeout_seconds = timeout_seconds
        self._answers = Answers() if answers is None else answers
        self._waiting: deque[Waiting] = deque()
        self._linger: asyncio.TimerHandle | None = None
        self._lingered = False
        self._tasks = TaskSet(on_failure=self._fail)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session(self._timeout_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tasks.cancel_all()
        if self._session is not None:
            await self._session.close()

    async def call(self, record: Record) -> str:
        """Ask for the record's token, with others; the answer is JSON text.

        Raises:
            NotSentError: withdrawn before the batch was sent.
            TransientError: the answer of the batch has none for this id.
            RecordError, aiohttp.ClientError, TimeoutError: as providers/http.py, for the whole batch.

        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, answer))
        self._send()
        return await answer

    def withdraw(self) -> None:
        """Give back the calls that are in no batch yet."""
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(NotSentError())

    def _send(self) -> None:
        """Send full batches, and what has lingered long enough, as far as calls are free."""
        while self._waiting and self._free_calls and (self._lingered or len(self._waiting) >= self._size):
            batch = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
            self._free_calls -= 1
            self._tasks.spawn(self._call(batch))
        if not self._waiting:
            self._lingered = False
        elif self._linger is None and not self._lingered:
            self._linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._lingered_enough)

    def _lingered_enough(self) -> None:
        self._linger = None
        self._lingered = True
        self._send()

    async def _call(self, batch: list[Waiting]) -> None:
        try:
            answers = await self._ask([record for record, _ in batch])
        except Exception as error:  # noqa: BLE001 # lint: allow broad-except because each lane gets it, and decides
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for record, answer in batch:
                _tell(answer, answers.get(record.token or ""))
        finally:
            self._free_calls += 1
            self._send()

    async def _ask(self, records: list[Record]) -> dict[str, msgspec.Raw]:
        """Ask for the tokens of these records; token -> JSON of its answer."""
        assert self._session is not None  # noqa: S101 - a bug of ours otherwise
        tokens = list(dict.fromkeys(record.token for record in records))
        keys = "\n".join(idempotency_key(record) for record in records)
        headers = {"Content-Type": "application/json", "Idempotency-Key": hashlib.sha256(keys.encode()).hexdigest()}
        body = msgspec.json.encode(tokens)
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            limit = min(ANSWER_LIMIT_BYTES * len(tokens), BATCH_LIMIT_BYTES)
            answer = await read_body(response, limit_bytes=limit, answers=self._answers, deadline=deadline)
        if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's own success class
            raise status_error(response.status, answer, retry_after=response.headers.get("Retry-After"))
        try:
            answer.decode()  # as a whole: Raw does not look into strings
            return _ANSWERS.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TransientError(f"the answer is no JSON object keyed by id: {error}: {excerpt(answer)}") from error

    def _fail(self, error: BaseException) -> None:
        """A batch ends by telling its lanes; anything else is a bug, which the loop's handler shows."""
        asyncio.get_running_loop().call_exception_handler({"message": "a batch call failed", "exception": error})


def _tell(answer: "asyncio.Future[str]", raw: msgspec.Raw | None) -> None:
    if answer.done():
        return
    if raw is None:
        answer.set_exception(TransientError("the answer of the batch has none for this id"))
    elif len(text := bytes(raw)) > ANSWER_LIMIT_BYTES:
        answer.set_exception(RejectedError(f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes"))
    else:
        answer.set_result(text.decode())
