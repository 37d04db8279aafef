"""Producers that write in transactions: what was aborted was never sent."""

from aiokafka import AIOKafkaProducer

from tests.support.system import System


async def test_a_record_of_an_aborted_transaction_is_not_called_and_no_marker_stays_in_the_queue(system: System) -> None:
    """One transaction is aborted, one committed: the first one's token is never called, and the lag ends at 0."""
    producer = AIOKafkaProducer(bootstrap_servers=system.kafka, transactional_id=system.topic)
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(system.topic, b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(system.topic, b"committed", partition=0)
    finally:
        await producer.stop()
    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(1)
    await system.drained()
    assert [row["token"] for row in await system.rows("SELECT token FROM outcomes")] == ["committed"]
    assert system.mock.stats()["calls"] == 1
    await worker.terminate()
