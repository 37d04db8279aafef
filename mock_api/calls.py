"""What a request for scores becomes: counted, planned, and answered when its time has come. No I/O.

`refusal` decides at the door, `begin` and `begin_batch` count and plan; `Call.reply` is the answer, `Call.end` closes the
count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from mock_api.ledger import Ledger
from mock_api.plan import OK, BatchPlan, Plan
from mock_api.replies import Reply, error_body, extra_of, planned_reply, reply, retry_after_line
from mock_api.scores import JSON, batch_body, score_body
from mock_api.state import Mock
from mock_api.windows import retry_after

MAX_IDS: Final = 1000
TOO_MANY_REQUESTS: Final = 429
_IDS: Final = msgspec.json.Decoder(Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_IDS)])


class BatchError(ValueError):
    """The body of a batch is no list of ids; the text says why."""


@dataclass(slots=True, eq=False)
class Call:
    """One running request for scores: of one token, or of a batch's ids (then `batch` is set)."""

    ledger: Ledger
    epoch: int
    tokens: Sequence[str]
    plan: Plan
    batch: BatchPlan | None = None

    def reply(self, *, keep_alive: bool) -> Reply:
        """Return what the plan asks for."""
        plan = self.plan
        if plan.status != OK:
            body = error_body(plan.status, self.tokens[0] if self.batch is None else None)
        elif self.batch is None:
            body = score_body(self.tokens[0], extra_of(plan)) + b"\n"
        else:
            body = self._batch_body(self.batch) + b"\n"
        return planned_reply(plan, body, keep_alive=keep_alive)

    def end(self, *, status: int) -> None:
        """Note that the answer has left, as planned; status 0 = none was sent."""
        if self.epoch == self.ledger.epoch and status:
            self.ledger.statuses[status] += 1
        if self.plan.kind is not None:
            self.ledger.end("misbehaved", self.epoch, len(self.tokens))
        elif self.plan.status != OK:
            self.ledger.end("failed", self.epoch, len(self.tokens))
        elif self.batch is None:
            self.ledger.end("answered", self.epoch)
        else:
            self._end_ids(self.batch)

    def leave(self) -> None:
        """Note that the caller left before the answer was there."""
        self.ledger.end("disconnected", self.epoch, len(self.tokens))

    def _batch_body(self, batch: BatchPlan) -> bytes:
        extras = {token: extra_of(own) for token, own in batch.spoilt.items()}
        tokens = [token for token in self.tokens if token not in batch.left_out] if batch.left_out else self.tokens
        return batch_body(tokens, extras)

    def _end_ids(self, batch: BatchPlan) -> None:
        """Note what each id of a good answer got."""
        left_out = sum(token in batch.left_out for token in self.tokens) if batch.left_out else 0
        spoilt = sum(token in batch.spoilt for token in self.tokens) if batch.spoilt else 0
        self.ledger.end("left_out", self.epoch, left_out)
        self.ledger.end("misbehaved", self.epoch, spoilt)
        self.ledger.end("answered", self.epoch, len(self.tokens) - left_out - spoilt)


def ids_of(body: bytes) -> list[str]:
    """Read the body of a batch.

    Raises:
        BatchError: no JSON list of 1 to MAX_IDS strings.

    """
    try:
        ids: list[str] = _IDS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"a batch is a JSON list of 1 to {MAX_IDS:,} ids, each a string: {error}"
        raise BatchError(msg) from error
    return ids


def refusal(mock: Mock, now: float, *, keep_alive: bool) -> Reply | None:
    """Count a request at the door, and let it in (None), or return what it is told: nothing while down, else 429."""
    mock.ledger.arrive(now)
    if mock.outage is not None:
        mock.ledger.refuse("refused_while_down")
        return Reply(b"", keep_alive=False, status=0)
    wait_seconds = mock.limit.wait_seconds(now) if mock.limit is not None else 0.0
    if wait_seconds <= 0:
        return None
    mock.ledger.refuse("rate_limited")
    mock.ledger.statuses[TOO_MANY_REQUESTS] += 1
    body = JSON.encode({"error": "too many requests", "wait_seconds": round(wait_seconds, 3)}) + b"\n"
    line = retry_after_line(retry_after(wait_seconds))
    return reply(TOO_MANY_REQUESTS, body, keep_alive=keep_alive, headers=line)


def begin(mock: Mock, token: str) -> Call:
    """Count and plan a call of one token."""
    ledger = mock.ledger
    plan = mock.planner.plan(token, ledger.begin(token))
    if plan.kind is not None:
        ledger.misbehaviours[plan.kind] += 1
    return Call(ledger, ledger.epoch, (token,), plan)


def begin_batch(mock: Mock, tokens: Sequence[str]) -> Call:
    """Count and plan a batch: one request, a call of each id."""
    ledger = mock.ledger
    batch = mock.planner.plan_batch(tokens, ledger.begin_batch(tokens))
    for own in (batch.plan, *batch.spoilt.values()):
        if own.kind is not None:
            ledger.misbehaviours[own.kind] += 1
    return Call(ledger, ledger.epoch, tokens, batch.plan, batch)
