"""The sending and the waiting of a load test: a task for each connection, all on one event loop.

State: one `Tally`, written by the senders between two awaits and read by the screen, so there is no lock.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from scripts._load_client import Answer, Client, NoAnswerError, UnreachableError
from scripts._load_figures import FINAL, Stored, Tally, since, token_number

RECONNECT_SECONDS: Final = 0.5
COUNTING_SECONDS: Final = 300.0
"""What the first count of a very large table may take; above the API's own limit on it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send where. `patience_seconds` bounds how long one token is sent again, or a lost API is looked for."""

    url: str
    requests: int
    concurrency: int
    prefix: str
    duplicates: float
    patience_seconds: float


class Sending:
    """Sends every token of a plan; `stop` lets the running requests end and begins no other."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self.stopped = asyncio.Event()
        self._given_up = False
        self._plan = plan
        self._bodies = self._all_bodies()

    async def run(self) -> None:
        """Return when everything was sent, or what ran when `stop` was called has ended."""
        await asyncio.gather(*(self._send_some() for _ in range(min(self._plan.concurrency, self._plan.requests))))

    def stop(self) -> None:
        """Begin no other request."""
        self.stopped.set()

    def _all_bodies(self) -> Iterator[bytes]:
        for request in range(self._plan.requests):
            yield json.dumps({"token": f"{self._plan.prefix}{token_number(request, self._plan.duplicates)}"}).encode()

    async def _send_some(self) -> None:
        """Send one token after the other over one connection, taken from what is left for all."""
        client = Client(self._plan.url)
        try:
            for body in self._bodies:
                await self._send(client, body)
                if self.stopped.is_set() or self._given_up:
                    return
        finally:
            client.close()

    async def _send(self, client: Client, body: bytes) -> None:
        """Send a token until it is accepted, refused, or the patience is over, which ends the run."""
        end = time.monotonic() + self._plan.patience_seconds
        while True:
            started = time.perf_counter()
            try:
                answer = await client.post("/tokens", body)
            except UnreachableError as error:
                reason, seconds = f"unreachable: {error}", RECONNECT_SECONDS
            except NoAnswerError as error:
                # Not sent again: it may have been accepted, and its record id is not known.
                self.tally.unanswered += 1
                self.tally.errors[f"{error}; it may be accepted all the same"] += 1
                return
            else:
                if answer.status == 202:  # noqa: PLR2004 - Accepted
                    self.tally.accept(time.perf_counter() - started)
                    return
                if answer.retry_after_seconds is None:
                    self.tally.errors[_told(answer)] += 1
                    return
                reason, seconds = self._told_to_wait(answer), float(answer.retry_after_seconds)
            if self.stopped.is_set():
                return
            if time.monotonic() + seconds > end:
                self._given_up = True
                self.tally.errors[f"given up after {self._plan.patience_seconds:g} s: {reason}"] += 1
                return
            await self._pause(seconds)

    def _told_to_wait(self, answer: Answer) -> str:
        """Count it; a record that may still arrive is remembered by its id."""
        reason = answer.reason
        self.tally.waits[reason] += 1
        if isinstance(record_id := answer.document().get("record_id"), str):
            self.tally.uncertain.append(record_id)
        return reason

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stopped.wait()
        except TimeoutError:
            pass


class Outcomes:
    """Reads what is stored of a run; it begins with what was stored before."""

    def __init__(self, plan: Plan) -> None:
        self._client = Client(plan.url)
        self._path = f"/status?token_prefix={quote(plan.prefix, safe='')}" if plan.prefix else "/status"
        self._before: dict[str, int] = {}
        self._late: set[str] = set()

    async def begin(self) -> None:
        """Note what is stored before the run.

        Raises:
            UnreachableError, NoAnswerError: it cannot be told.

        """
        end = time.monotonic() + COUNTING_SECONDS
        while (found := await self._totals()) is None:
            if time.monotonic() > end:
                raise NoAnswerError(f"GET /status could not count the table within {COUNTING_SECONDS:g} s")
            await asyncio.sleep(1)
        self._before = found[0]

    async def read(self, tally: Tally, *, started: float) -> Stored | None:
        """Return what is stored since `begin`; None while it is being counted.

        The totals are read before the unacknowledged records are: one that is settled in between makes `settled` too small
        for a moment, never too large.

        Raises:
            UnreachableError, NoAnswerError: it cannot be told now.

        """
        found = await self._totals()
        if found is None:
            return None
        totals, age_seconds = found
        seconds = time.monotonic() - age_seconds - started
        for record_id in tally.uncertain:
            if record_id not in self._late:
                answer = await self._client.get(f"/records/{record_id}")
                if answer.document().get("outcome") in FINAL:
                    self._late.add(record_id)
        return Stored(since(self._before, totals), seconds, len(self._late))

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    async def _totals(self) -> tuple[dict[str, int], float] | None:
        answer = await self._client.get(self._path)
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise NoAnswerError(f"GET {self._path}: {_told(answer)}")
        document = answer.document()
        return (document["outcomes"], document["age_seconds"]) if document.get("outcomes") is not None else None


def _told(answer: Answer) -> str:
    """The reason with the problem's own sentence, shortened: a reason is a line of the summary."""
    detail = str(answer.document().get("detail", ""))[:120]
    return f"{answer.reason}: {detail}" if detail else answer.reason
