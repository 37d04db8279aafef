"""Whatever bytes lie on the tokens topic: every record ends in exactly one explained outcome, and no byte of it is lost."""

import json
from base64 import b64decode
from collections import Counter

from tests.support.contract import Letter, foreign, produce_cases, read_letters
from tests.support.corpus import FOREIGN_ID, Case, corpus
from tests.support.system import System
from topics.headers import CONNECT_PREFIX


async def test_every_record_of_the_corpus_has_one_final_outcome_and_its_bytes_survive(system: System) -> None:
    """Counts by kind equal what was sent; the DLQ and the rows hold the bytes that were sent; nothing vanishes."""
    sent = await produce_cases(system.kafka, system.topic, corpus(), partitions=6)
    malformed = {at: case for at, case in sent.items() if case.token is None}
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(len(malformed), "dead_lettered")
    await system.wait_for(len(sent) - len(malformed))

    rows = await system.rows("SELECT * FROM outcomes")
    kinds = Counter((row["outcome"], row["error_kind"]) for row in rows)
    assert kinds == {("succeeded", None): len(sent) - len(malformed), ("dead_lettered", "malformed"): len(malformed)}
    by_place = {(row["source_partition"], row["source_offset"]): row for row in rows}
    assert by_place.keys() == sent.keys()
    for at, case in sent.items():
        row = by_place[at]
        assert (row["token"], row["redrive_count"]) == (case.token, 0), case.name
        assert row["attempt"] == (0 if case.token is None else 1), case.name
        assert case.token is None or json.loads(row["result"])["token"] == case.token, case.name
        assert case.token is not None or row["error_message"], case.name
    (own,) = (row["token"] for row in rows if str(row["record_id"]).encode() == FOREIGN_ID)
    assert own == "own-id"

    await _assert_bytes_kept(system, malformed)
    letters = await read_letters(system.kafka, f"{system.topic}.dlq")
    assert {at: len(found) for at, found in letters.items()} == dict.fromkeys(malformed, 1)
    for at, case in malformed.items():
        _assert_letter(letters[at][0], case, system.topic, at)
        assert letters[at][0].text("record-id") == str(by_place[at]["record_id"]), case.name
    await system.drained()
    await worker.terminate()


async def _assert_bytes_kept(system: System, malformed: dict[tuple[int, int], Case]) -> None:
    """The row keeps everything, also what was too large for the topic."""
    rows = await system.rows("SELECT * FROM dead_letters")
    assert len(rows) == len(malformed)
    for row in rows:
        case = malformed[row["source_partition"], row["source_offset"]]
        assert (row["key"], row["payload"]) == (case.key, case.value), case.name
        kept = [(name, None if value is None else b64decode(value)) for name, value in json.loads(row["headers"])]
        assert kept == list(case.headers), case.name


def _assert_letter(letter: Letter, case: Case, topic: str, at: tuple[int, int]) -> None:
    """Key, value and foreign headers as they came, in their order; ours and Connect's say where from and why."""
    whole = (case.key, case.value, foreign(case.headers))
    small = case.key if len(case.key or b"") < 1_000 else None
    assert (letter.key, letter.value, letter.foreign) == (whole if case.whole else (small, None, ())), case.name
    assert letter.text("error-kind") == "malformed", case.name
    assert letter.text("attempt") == "0", case.name
    assert letter.text("source-topic") == letter.text(f"{CONNECT_PREFIX}topic") == topic, case.name
    assert letter.text(f"{CONNECT_PREFIX}partition") == str(at[0]), case.name
    assert letter.text(f"{CONNECT_PREFIX}offset") == str(at[1]), case.name
    assert letter.text(f"{CONNECT_PREFIX}exception.class.name") == "tokenflow.malformed", case.name
    assert letter.text(f"{CONNECT_PREFIX}exception.message") == letter.text("error-message") != "", case.name
