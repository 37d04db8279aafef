"""Record ids that foreigners choose: a copy shares a row, another token never vanishes behind one, nonsense is ignored."""

import uuid

from tests.support.contract import produce_cases
from tests.support.corpus import FOREIGN_ID, Case
from tests.support.system import System
from topics.identity import derived_record_id

ID = (("record-id", FOREIGN_ID),)


async def test_the_same_record_id_twice_is_one_row_and_one_call(system: System) -> None:
    """Also where the copies lie in different partitions and differ in everything but the token."""
    copies = [
        Case("bare", b"same", "same", headers=ID),
        Case("JSON", b'{"token":"same","x":1}', "same", key=b"k", headers=ID),
    ]
    await produce_cases(system.kafka, system.topic, [*copies, *copies], partitions=6)
    worker = system.start_worker()
    await worker.ready()
    await system.drained()
    await system.assert_promise(["same"])
    (row,) = await system.rows("SELECT record_id FROM outcomes")
    assert str(row["record_id"]).encode() == FOREIGN_ID
    await worker.terminate()


async def test_a_record_under_another_tokens_id_gets_its_derived_id(system: System) -> None:
    """One keeps the id, all others go on under the id of their coordinates; malformed bytes never take an id at all."""
    cases = [Case(f"t{number}", f"t{number}".encode(), f"t{number}", headers=ID) for number in range(5)]
    malformed = Case("malformed", b"[", headers=ID)
    sent = await produce_cases(system.kafka, system.topic, [malformed, *cases, malformed], partitions=6)
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(len(cases))
    await system.wait_for(2, "dead_lettered")

    rows = await system.rows(
        "SELECT record_id, token, source_partition AS partition, source_offset AS place,"
        " (extract(epoch FROM source_timestamp) * 1000)::bigint AS ms FROM outcomes"
    )
    assert sorted((row["partition"], row["place"]) for row in rows) == sorted(sent)
    (owner,) = (row for row in rows if str(row["record_id"]).encode() == FOREIGN_ID)
    assert owner["token"] is not None
    for row in rows:
        derived = derived_record_id(system.topic, row["partition"], row["place"], row["ms"])
        assert row is owner or row["record_id"] == uuid.UUID(derived), row
    _, metrics = await worker.get("/metrics")
    assert f"tokens_identity_conflicts_total {len(cases) - 1}.0" in metrics
    await system.drained()
    await worker.terminate()


async def test_an_id_in_any_spelling_of_a_uuid_is_that_id(system: System) -> None:
    """Upper case, braces, no hyphens: one row; what is no UUID is as good as none."""
    spellings = [FOREIGN_ID, FOREIGN_ID.upper(), FOREIGN_ID.replace(b"-", b"")]
    nonsense = [b"", b"17", b"\xff", FOREIGN_ID + b"0"]
    headers = [(("record-id", text),) for text in (*spellings, *nonsense)]
    cases = [Case(str(number), b"one", "one", headers=each) for number, each in enumerate(headers)]
    await produce_cases(system.kafka, system.topic, cases, partitions=1)
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(1 + len(nonsense))
    await system.drained()
    assert await system.count() == 1 + len(nonsense)
    await worker.terminate()
