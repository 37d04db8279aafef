"""Which dead letters are meant: one set of filters for every verb. Pure; the clock is an argument."""

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

_AGO: Final = re.compile(r"([0-9]{1,6})\s*([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Filter:
    """What a dead letter must match, all of it; None and () match every one. `until` is exclusive, `text` ignores case."""

    kind: str | None = None
    token: str | None = None
    job: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    records: tuple[UUID, ...] = field(default=())
    redrives: int | None = None

    def arguments(self) -> tuple[Any, ...]:
        """Arguments $1 to $8 of the statements that hold match_filter.sql."""
        return (
            self.kind,
            self.token,
            self.job,
            self.since,
            self.until,
            self.text,
            list(self.records) or None,
            self.redrives,
        )

    def to_json(self) -> str:
        """Write what is asked for, and only that, as the audit row keeps it."""
        return msgspec.json.encode({name: value for name, value in asdict(self).items() if value not in (None, ())}).decode()

    @property
    def is_empty(self) -> bool:
        """Say whether every dead letter matches."""
        return self == Filter()


def read_filter(text: str) -> Filter:
    """Read what `to_json` wrote."""
    return msgspec.json.decode(text, type=Filter)


def read_moment(text: str, *, now: datetime) -> datetime:
    """Read "90s", "15m", "2h", "3d" (so long ago), or a date and time of ISO 8601 (UTC where it names no zone).

    Raises:
        ValueError: it is neither.

    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        msg = f"{text!r} is no time: write 90s, 15m, 2h or 3d for so long ago, or 2026-11-25T09:30 (UTC)"
        raise ValueError(msg) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
