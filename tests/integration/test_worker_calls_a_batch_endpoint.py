import asyncio

from tests.support.system import System


def _batch(system: System) -> dict[str, str]:
    """Settings of a worker that calls up to 4 batches of 50 ids."""
    url = f"http://127.0.0.1:{system.mock.port}/scores"
    return {"PROVIDER_BATCH_URL": url, "WORKER_CONCURRENCY": "4", "QUEUE_BATCH_SIZE": "50"}


async def test_tokens_share_calls_and_a_planned_stop_half_way_repeats_none(system: System) -> None:
    """Each token has its own answer and row, for a fraction of the calls; what was not sent is given back in a drain."""
    tokens = [f"t{number}" for number in range(2_000)]
    system.mock.behave(latency_min_seconds=0.2, latency_max_seconds=0.6)
    await system.produce(token.encode() for token in tokens)

    first, second = system.start_worker(**_batch(system)), system.start_worker(**_batch(system))
    await asyncio.gather(first.ready(), second.ready())
    await system.wait_for(len(tokens) // 4)
    await first.terminate()
    await system.wait_for(len(tokens))

    await system.assert_promise(tokens)
    (row,) = await system.rows("SELECT result->>'token' AS token FROM outcomes WHERE token = 't7'")
    assert row["token"] == "t7"
    await second.terminate()


async def test_a_failed_batch_is_a_dead_letter_for_each_of_its_tokens(system: System) -> None:
    """A batch endpoint that fails costs no token its explanation; so few do not open the breaker."""
    tokens = [f"t{number}" for number in range(15)]
    system.mock.behave(error_ratio=1)
    await system.produce(token.encode() for token in tokens)

    worker = system.start_worker(**_batch(system), MAX_RETRIES="0")
    await worker.ready()
    await system.wait_for(len(tokens), "dead_lettered")

    rows = await system.rows("SELECT error_kind, error_message FROM outcomes")
    assert {row["error_kind"] for row in rows} == {"transient"}
    assert all(row["error_message"].startswith("HTTP 500") for row in rows)
    await worker.terminate()
