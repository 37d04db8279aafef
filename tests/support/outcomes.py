"""Outcomes as the API reads them."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from producer_api.outcomes import Outcome, Source

MOMENT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


def outcome(**changes: Any) -> Outcome:
    """Make an outcome like a stored one; `changes` are its fields that matter to a test."""
    fields: dict[str, Any] = {
        "token": "1234",
        "record_id": "0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e",
        "outcome": "succeeded",
        "attempt": 1,
        "redrive_count": 0,
        "result": msgspec.Raw(b'{"b":1.10,"a":12345678901234567890123}'),
        "error": None,
        "source": Source("tokens", 3, 17, MOMENT),
        "settled_at": MOMENT,
    }
    return Outcome(**{**fields, **changes})
