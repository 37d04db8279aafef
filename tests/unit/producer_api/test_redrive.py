"""The pure parts of a redrive: which dead letters, how fast, and what goes out."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_api.redrive.copies import copy_of
from producer_api.redrive.filters import Filter, read_filter, read_moment
from producer_api.redrive.operations import filter_text
from producer_api.redrive.pacing import BATCH, Pace
from topics.headers import CONNECT_PREFIX, OURS

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
RECORD = UUID("0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e")


def test_a_filter_is_kept_as_it_was_asked_for() -> None:
    """Only what was said, and read back as the same."""
    asked = Filter(kind="rejected", since=NOW, records=(RECORD,), redrives=0)
    assert read_filter(asked.to_json()) == asked
    assert set(msgspec.json.decode(asked.to_json())) == {"kind", "since", "records", "redrives"}
    assert (Filter().to_json(), Filter().is_empty, asked.is_empty) == ("{}", True, False)
    assert filter_text("{}") == "every dead letter"
    assert filter_text('{"kind":"rejected","records":["a","b"]}') == "kind=rejected, records=2 named"


def test_a_moment_is_so_long_ago_or_a_date() -> None:
    """Without a zone it is UTC; anything else says how to write one."""
    assert read_moment("90s", now=NOW) == NOW - timedelta(seconds=90)
    assert read_moment(" 3d ", now=NOW) == NOW - timedelta(days=3)
    assert read_moment("2026-11-25T09:30", now=NOW) == NOW
    assert read_moment("2026-11-25T10:30+01:00", now=NOW) == NOW
    for text in ("", "yesterday", "3 weeks", "-2h", "2026-13-01", "999999d"):
        with pytest.raises(ValueError, match="is no time"):
            read_moment(text, now=NOW)


def test_a_rate_is_even_and_makes_up_for_nothing() -> None:
    """Slots of equal length; one that was missed is lost. A batch is at most what a second has room for."""
    pace = Pace(10)
    assert [round(pace.wait_seconds(100.0), 6) for _ in range(3)] == [0.0, 0.1, 0.2]
    assert pace.wait_seconds(200.0) == 0.0
    assert round(pace.wait_seconds(200.0), 6) == 0.1
    assert [Pace(rate).batch for rate in (None, 0.1, 10, 1e6)] == [BATCH, 1, 10, BATCH]
    assert Pace(None).wait_seconds(1.0) == 0.0


@given(
    headers=st.lists(st.tuples(st.text(), st.none() | st.binary())),
    key=st.none() | st.binary(),
    payload=st.none() | st.binary(),
)
def test_any_record_goes_out_as_it_came(
    headers: list[tuple[str, bytes | None]], key: bytes | None, payload: bytes | None
) -> None:
    """Key, value and foreign headers byte for byte, in their order; ours say a first attempt of the next redrive."""
    kept = msgspec.json.encode([[name, value and base64.b64encode(value).decode()] for name, value in headers])
    row = {
        "record_id": RECORD, "job_id": None, "key": key, "payload": payload, "headers": kept, "source_partition": 3,
        "dead_lettered_at": NOW,
    }  # fmt: skip
    copy = copy_of(row, 2)
    assert (copy.record_id, copy.partition, copy.key, copy.value) == (RECORD, 3, key, payload)
    foreign = [(name, value) for name, value in copy.headers if name not in OURS]
    sent = [(name, value or None) for name, value in headers if name not in OURS and not name.startswith(CONNECT_PREFIX)]
    assert [(name, value or None) for name, value in foreign] == sent
    ours = dict(copy.headers[: len(copy.headers) - len(foreign)])
    assert (ours["record-id"], ours["redrive-count"]) == (str(RECORD).encode(), b"2")
    assert not ours.keys() & {"attempt", "not-before", "error-kind", "error-message", "source-topic", "job-id"}
