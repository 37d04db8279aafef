"""What was set aside is known before a partition is polled, and its bytes are not looked at."""

from collections.abc import Collection

from aiokafka.structs import TopicPartition

from consumers.engine.intake import make_intake
from consumers.engine.window import PartitionWindow
from consumers.errors import StoreUnavailableError
from consumers.set_aside import SetAside, SetAsideRows
from tests.support.engine_fakes import Polled
from tests.support.records import make_id

P0, P1, RETRY = TopicPartition("tokens", 0), TopicPartition("tokens", 1), TopicPartition("tokens.retry.5m", 0)
RECORD_ID = "0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"


class _Store:
    """Rows, and the topics that were asked for; away for the first `failures` questions."""

    def __init__(self, rows: SetAsideRows, *, failures: int = 0) -> None:
        self.asked: list[set[str]] = []
        self._rows = rows
        self._failures = failures

    async def set_aside(self, topics: Collection[str]) -> SetAsideRows:
        self.asked.append(set(topics))
        if len(self.asked) <= self._failures:
            raise StoreUnavailableError("away")
        return {where: row for where, row in self._rows.items() if where[0] in topics}


def _polled(offset: int) -> Polled:
    return Polled("tokens", 0, offset, b"poison", [("record-id", RECORD_ID.encode()), ("redrive-count", b"2")])


async def test_a_record_that_was_set_aside_has_the_id_and_token_of_its_row() -> None:
    """The next one is read as ever; window, coordinates and bytes are kept in both."""
    aside = SetAside(_Store({("tokens", 0, 7): (make_id(1), "stored")}), make_intake(None))
    await aside.learn((P0,))
    window = PartitionWindow()
    skipped, read = aside.intake(_polled(7), window), aside.intake(_polled(8), window)
    assert (skipped.record_id, skipped.token, skipped.complaint) == (make_id(1), "stored", None)
    assert (str(read.record_id), read.token) == (RECORD_ID, "poison")
    assert {(record.window, record.value, record.redrive_count) for record in (skipped, read)} == {(window, b"poison", 2)}


async def test_it_is_asked_once_for_each_partition_that_is_new() -> None:
    """A poll costs nothing, also where tokens and retries are polled in turn, and what was learnt is not forgotten."""
    store = _Store({("tokens", 0, 7): (make_id(1), "stored")})
    aside = SetAside(store, make_intake(None))
    for partitions in ((P0,), (P0,), (P0, P1), (P1,), (P0, P1), (RETRY,), (P0, P1), (RETRY,), (P1,)):
        await aside.learn(partitions)
    assert store.asked == [{"tokens"}, {"tokens"}, {"tokens.retry.5m"}]
    assert aside.intake(_polled(7), PartitionWindow()).token == "stored"


async def test_polling_waits_for_the_database() -> None:
    """Nothing that was polled meanwhile could be checked."""
    store = _Store({}, failures=2)
    await SetAside(store, make_intake(None)).learn((P0,))
    assert len(store.asked) == 3
