"""What PostgreSQL can never store is UnstorableError, and writes nothing: the batch is halved, not tried for ever."""

from typing import Any

import pytest

from consumers.engine.record import DeadLettered, ErrorKind, Outcome, Record, Settled, Succeeded
from consumers.errors import UnstorableError
from tests.support.records import make_record
from tests.support.stores import count, open_store

DEPTH = 100_000


@pytest.mark.parametrize(
    "result",
    [
        '"\\u0000"',
        '{"\\u0000": 1}',
        '"\\ud800"',
        '"\ud800"',
        '"\0"',
        "1e400000",
        "-1e-400000",
        "[" * DEPTH + "]" * DEPTH,
        '{"a":' * DEPTH + "1" + "}" * DEPTH,
        "not JSON",
        "",
        "NaN",
        "{",
        "1 2",
        None,
        b"1",
        {"score": 1},
    ],
    ids=lambda result: repr(result)[:20],
)
async def test_an_answer_that_cannot_be_stored(database: str, result: Any) -> None:
    """NUL, a lone surrogate, a number or a depth beyond limits, no JSON, no text at all: refused, with all of its batch."""
    settled = [Settled(make_record(1), Succeeded("1")), Settled(make_record(2), Succeeded(result))]
    async with open_store(database) as store:
        with pytest.raises(UnstorableError):
            await store.save(settled)
        assert await count(database, "outcomes") == 0
        await store.save(settled[:1])
    assert await count(database, "outcomes") == 1


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (make_record(2, token="a\0b"), Succeeded("1")),
        (make_record(2, token="\ud800"), Succeeded("1")),
        (make_record(2, offset=2**63), Succeeded("1")),
        (make_record(2, attempt=2**31), Succeeded("1")),
        (make_record(2, attempt=-1), Succeeded("1")),
        (make_record(2, redrive_count=-1), Succeeded("1")),
        (make_record(2, job_id="no id"), Succeeded("1")),
        (make_record(2), DeadLettered(ErrorKind.REJECTED, "a\0b")),
        (make_record(2, value="text"), DeadLettered(ErrorKind.REJECTED, "why")),
        (make_record(2, offset=2**63), DeadLettered(ErrorKind.REJECTED, "why")),
    ],
    ids=lambda value: repr(value)[:12] if isinstance(value, Succeeded | DeadLettered) else None,
)
async def test_a_field_that_cannot_be_stored(database: str, record: Record, outcome: Outcome) -> None:
    """The client's encoders refuse as the server does: neither table has a row."""
    settled = [Settled(make_record(1), DeadLettered(ErrorKind.REJECTED, "why")), Settled(record, outcome)]
    async with open_store(database) as store:
        with pytest.raises(UnstorableError):
            await store.save(settled)
    assert (await count(database, "outcomes"), await count(database, "dead_letters")) == (0, 0)


async def test_numbers_and_depths_that_postgres_can_store_are_stored(database: str) -> None:
    """A number that no float can hold, 500 levels, all of Unicode: they come back as they were."""
    answers = ["1e400", "123456789012345678901234567890.10", "[" * 500 + "]" * 500, '"\U0001f600\\n\u00e9"', ' {"a" : 1 } ']
    async with open_store(database) as store:
        await store.save([Settled(make_record(number), Succeeded(text)) for number, text in enumerate(answers)])
    assert await count(database, "outcomes") == len(answers)
