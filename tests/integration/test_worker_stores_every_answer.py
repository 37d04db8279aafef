import base64
import json

from tests.support.system import System


async def test_every_record_of_the_topic_ends_as_one_row_and_its_offset_is_committed(system: System) -> None:
    """A token is called once, its answer is the row's result, and the queue is empty afterwards."""
    tokens = [f"t{number}" for number in range(1_000)]
    await system.produce(token.encode() for token in tokens)

    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(len(tokens))

    await system.assert_promise(tokens)
    (row,) = await system.rows("SELECT * FROM outcomes WHERE token = 't7'")
    assert json.loads(row["result"])["token"] == "t7"
    assert (row["attempt"], row["redrive_count"], row["error_kind"]) == (1, 0, None)
    assert row["source_topic"] == system.topic
    await worker.terminate()


async def test_a_group_set_back_to_the_start_calls_nothing_that_is_stored(system: System) -> None:
    """Invariant 5: a rewind is free."""
    tokens = [f"t{number}" for number in range(500)]
    await system.produce(token.encode() for token in tokens)
    worker = system.start_worker()
    await system.wait_for(len(tokens))
    await worker.terminate()
    await system.assert_promise(tokens)

    await system.rewind()
    assert await system.lag() == len(tokens)
    worker = system.start_worker()
    await worker.ready()

    await system.assert_promise(tokens)
    await worker.terminate()


async def test_a_duplicate_submission_of_a_record_is_called_once(system: System) -> None:
    """Invariants 1 and 5: copies of one record-id share one call and one row, however many lie in the topic."""
    record_id = ("record-id", b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e")
    for _ in range(3):
        await system.produce([b"same"] * 5, headers=[record_id])
    system.mock.behave(latency_min_seconds=0.5, latency_max_seconds=0.5)

    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(1)

    await system.assert_promise(["same"])
    await worker.terminate()


async def test_another_token_under_a_taken_record_id_gets_a_row_of_its_own(system: System) -> None:
    """Nothing vanishes behind a foreign id."""
    record_id = ("record-id", b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e")
    await system.produce([b"one", b"two", b"three"], headers=[record_id])

    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(3)

    await system.assert_promise(["one", "two", "three"])
    await worker.terminate()


async def test_bytes_that_name_no_token_become_explained_dead_letters_with_the_bytes_kept(system: System) -> None:
    """A malformed record costs no call, stops nothing, and can be read again as it came."""
    bad = [None, b"\xff\xfe", b"[1]", b'{"token":', b"", b'{"a":1}']
    await system.produce([*bad, b"good"], headers=[("origin", b"\xff\x00")], keyed=False)

    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(1)
    await system.wait_for(len(bad), "dead_lettered")

    letters = await system.rows("SELECT * FROM dead_letters")
    assert {letter["payload"] for letter in letters} == set(bad)
    assert {letter["error_kind"] for letter in letters} == {"malformed"}
    assert all(letter["error_message"] for letter in letters)
    assert json.loads(letters[0]["headers"]) == [["origin", base64.b64encode(b"\xff\x00").decode()]]
    assert system.mock.stats()["calls"] == 1
    await worker.terminate()


async def test_a_failed_call_becomes_a_dead_letter_that_says_why(system: System) -> None:
    """Without retries a failure is final, stored and explained; the others are not affected."""
    tokens = [f"t{number}" for number in range(200)]
    system.mock.behave(error_ratio=0.15)  # far from the half that opens the breaker
    await system.produce(token.encode() for token in tokens)

    worker = system.start_worker(MAX_RETRIES="0")
    await worker.ready()

    await system.wait_for(1, "dead_lettered")
    failed = system.mock.stats()["failed"]
    await system.wait_for(len(tokens) - failed)
    await system.assert_promise(tokens)
    letters = await system.rows("SELECT * FROM dead_letters")
    assert len(letters) == await system.count("dead_lettered") == system.mock.stats()["failed"]
    assert {letter["error_kind"] for letter in letters} == {"transient"}
    assert all(letter["error_message"].startswith("HTTP 500") for letter in letters)
    await worker.terminate()
