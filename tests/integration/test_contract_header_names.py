"""A broker takes header names that are no UTF-8, from any client that sends them: the worker lives."""

import json

from tests.support.contract import read_letters
from tests.support.raw_batches import Sent, produce_patched
from tests.support.system import System

PATCHES = [(b"NAME-1", b"\xff\x00\xfe--1"), (b"NAME-2", b"\xc3\x28\xed\xa0\x80~")]
READ = ["\\xff\x00\\xfe--1", "\\xc3(\\xed\\xa0\\x80~"]
RECORDS: list[Sent] = [
    (b"k", b"before", [("plain", b"1")]),
    (None, b"odd", [("plain", b"1"), ("NAME-1", b"\xff"), ("NAME-2", None)]),
    (None, None, []),
    (b"\xff", b"[", [("NAME-2", b"2"), ("NAME-1", b"1"), ("record-id", b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e")]),
    (None, b"after", []),
]


async def test_header_names_that_are_no_text_stop_no_record_of_their_batch_or_of_others(system: System) -> None:
    """Each record of the batch has its outcome, in both fates; names are read with their bytes escaped."""
    await produce_patched(system.kafka, system.topic, RECORDS, patches=PATCHES)
    await system.produce([b"later"], keyed=False)
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(2, "dead_lettered")
    await system.wait_for(4)

    rows = await system.rows("SELECT token FROM outcomes WHERE outcome = 'succeeded'")
    assert sorted(row["token"] for row in rows) == ["after", "before", "later", "odd"]
    (kept,) = await system.rows("SELECT headers, key FROM dead_letters WHERE payload = '['")
    assert kept["key"] == b"\xff"
    assert [name for name, _ in json.loads(kept["headers"])] == [READ[1], READ[0], "record-id"]
    letters = await read_letters(system.kafka, f"{system.topic}.dlq")
    assert letters[0, 3][0].foreign == ((READ[1], b"2"), (READ[0], b"1"))
    assert len(letters) == 2
    await system.drained()
    await worker.terminate()
