"""The worker's store on a real PostgreSQL: which row wins, and what is written beside it."""

import asyncio
import random
from itertools import product

import asyncpg
import pytest

from consumers.engine.record import DeadLettered, ErrorKind, Settled, Succeeded
from consumers.engine.verdict import StoredRow
from consumers.errors import StoreUnavailableError
from consumers.store.postgres import UPSERT_OUTCOMES, WrongGroupError
from consumers.store.rows import outcome_columns
from tests.support.records import make_id, make_record
from tests.support.stores import count, fetch, open_store

OUTCOMES = ("retrying", "cancelled", "dead_lettered", "succeeded")
VERSIONS = list(product(range(2), OUTCOMES, range(1, 4)))
DEAD = DeadLettered(ErrorKind.REJECTED, "HTTP 404: no such token")


async def test_any_order_of_upserts_ends_with_the_greatest_row(database: str) -> None:
    """Sixty records, each written in every version in an order of its own: the greatest one stays."""
    rng = random.Random(4)
    orders = [rng.sample(VERSIONS, len(VERSIONS)) for _ in range(60)]
    connection = await asyncpg.connect(database, timeout=10, command_timeout=10)
    for step in range(len(VERSIONS)):
        settled = []
        for number, order in enumerate(orders):
            redrive, _, attempt = order[step]
            settled.append(Settled(make_record(number, redrive_count=redrive, attempt=attempt), Succeeded(f"{step}")))
        columns = [*outcome_columns(settled)]
        columns[3] = [order[step][1] for order in orders]
        columns[7] = ["transient"] * len(orders)
        await connection.execute(UPSERT_OUTCOMES, *columns)
        stored = await connection.fetch("SELECT redrive_count, outcome, attempt, result FROM outcomes ORDER BY record_id")
        for order, row in zip(orders, stored, strict=True):
            greatest = max(order[: step + 1], key=_rank)
            assert tuple(row)[:3] == greatest
            assert int(row["result"]) == order.index(greatest)
    await connection.close()


def _rank(version: tuple[int, str, int]) -> tuple[int, int, int]:
    redrive, outcome, attempt = version
    return (redrive, OUTCOMES.index(outcome), attempt)


async def test_an_answer_is_stored_and_found_again(database: str) -> None:
    """The row says where the record came from; the done-set query finds it, and finds nothing else."""
    record = make_record(7, token="a/b \u00e9", job_id=make_id(9), partition=3, offset=2**40)
    async with open_store(database) as store:
        await store.save([Settled(record, Succeeded('{"score": 1.10}'))])
        stored = await store.stored([make_id(7), make_id(8)])
    assert stored == {make_id(7): StoredRow(make_id(7), "a/b \u00e9", "succeeded", 1, 0)}
    columns = "job_id, result, error_kind, source_topic, source_partition, source_offset"
    ((*row, moment),) = await fetch(database, f"SELECT {columns}, source_timestamp FROM outcomes")  # noqa: S608 - our own
    assert row == [make_id(9), '{"score": 1.10}', None, "tokens", 3, 2**40]
    assert moment.timestamp() == 1_700_000_000
    assert await count(database, "dead_letters") == 0


async def test_writing_the_same_rows_again_changes_nothing(database: str) -> None:
    """A save whose answer was lost is repeated: not even the time of the row moves."""
    settled = [Settled(make_record(1), Succeeded("1")), Settled(make_record(2), DEAD)]
    async with open_store(database) as store:
        await store.save(settled)
        before = [await fetch(database, f"SELECT * FROM {table}") for table in ("outcomes", "dead_letters")]  # noqa: S608
        await store.save(settled)
    after = [await fetch(database, f"SELECT * FROM {table}") for table in ("outcomes", "dead_letters")]  # noqa: S608
    assert before == after
    assert [len(rows) for rows in after] == [2, 1]


async def test_a_dead_letter_keeps_the_original_bytes(database: str) -> None:
    """Payload, key and headers as they came, whatever they are."""
    record = make_record(1, token=None, key=b"\0\xff", value=b"\xff\0", headers=[("h", b"\x80"), ("h", None)])
    async with open_store(database) as store:
        await store.save([Settled(record, DeadLettered(ErrorKind.MALFORMED, "not UTF-8"))])
    ((*row,),) = await fetch(database, "SELECT token, key, payload, headers, error_kind, error_message FROM dead_letters")
    assert row == [None, b"\0\xff", b"\xff\0", b'[["h","gA=="],["h",null]]', "malformed", "not UTF-8"]


async def test_only_what_is_stored_as_a_dead_letter_gets_one(database: str) -> None:
    """A late copy fails where the first one succeeded: the answer stays, and nothing is set aside."""
    async with open_store(database) as store:
        await store.save([Settled(make_record(1), Succeeded("1"))])
        await store.save([Settled(make_record(1), DEAD), Settled(make_record(2), DEAD)])
    assert await fetch(database, "SELECT record_id FROM dead_letters") == [(make_id(2),)]
    assert await fetch(database, "SELECT outcome FROM outcomes ORDER BY record_id") == [("succeeded",), ("dead_lettered",)]


async def test_a_row_of_another_token_is_left_alone(database: str) -> None:
    """The upsert compares tokens itself: neither the row nor a dead letter is written under somebody else's id."""
    async with open_store(database) as store:
        await store.save([Settled(make_record(1, token="first"), DEAD)])
        await store.save([Settled(make_record(1, token="second", redrive_count=1), Succeeded("2"))])
        await store.save([Settled(make_record(1, token="second", redrive_count=1), DEAD)])
    assert await fetch(database, "SELECT token, outcome, redrive_count FROM outcomes") == [("first", "dead_lettered", 0)]
    assert await fetch(database, "SELECT token, redrive_count FROM dead_letters") == [("first", 0)]


async def test_the_longest_token_fits_into_its_index(database: str) -> None:
    """256 characters of four bytes each."""
    token = "\U0001f600" * 256
    async with open_store(database) as store:
        await store.save([Settled(make_record(1, token=token), Succeeded("1"))])
    assert await fetch(database, "SELECT token FROM outcomes") == [(token,)]


async def test_two_workers_that_write_the_same_rows_at_once_do_not_deadlock(database: str) -> None:
    """500 rows, dead letters among them, in opposite orders, thirty times side by side: none fails."""
    settled = [Settled(make_record(number), DEAD if number % 3 == 0 else Succeeded("1")) for number in range(500)]
    async with open_store(database) as one, open_store(database) as other:
        for redrive in range(30):
            for each in settled:
                each.record.redrive_count = redrive
            async with asyncio.timeout(30):
                await asyncio.gather(one.save(settled), other.save(settled[::-1]), one.save(settled[::-1]))
    assert await fetch(database, "SELECT count(*), min(redrive_count), max(redrive_count) FROM outcomes") == [(500, 29, 29)]
    assert await count(database, "dead_letters") == 167


async def test_the_first_group_to_come_has_the_database(database: str) -> None:
    """Again by the same group is fine, and many at once; another group is told whose it is."""
    async with open_store(database) as store:
        await asyncio.gather(*(store.claim_group("workers") for _ in range(4)))
        await store.claim_group("workers")
        with pytest.raises(WrongGroupError, match=r"'workers'.*KAFKA_GROUP_ID=workers.*--adopt-group others"):
            await store.claim_group("others")
    assert await fetch(database, "SELECT group_id FROM consumer_group") == [("workers",)]


async def test_a_database_that_was_never_migrated_is_unavailable_not_a_bug(database: str) -> None:
    """No table: the operator mends it, so it is waited for; nothing is dead-lettered."""
    await fetch(database, "DROP TABLE outcomes, dead_letters, consumer_group")
    async with open_store(database) as store:
        for work in (
            store.claim_group("x"),
            store.stored([make_id(1)]),
            store.save([Settled(make_record(1), Succeeded("1"))]),
        ):
            with pytest.raises(StoreUnavailableError, match="does not exist"):
                await work
