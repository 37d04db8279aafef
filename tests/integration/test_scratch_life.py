from tests.support.system import System
from aiokafka import AIOKafkaConsumer, TopicPartition
import asyncio

async def test_life(system: System, capsys) -> None:
    await system.create_topics(retry_delay_minutes=0.05)
    system.mock.behave(rules=[{"pattern": "flaky.*", "behaviour": {"statuses": {"500": 1}}}])
    await system.produce([b"flaky-7"], headers=[("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")])
    worker = system.start_worker(MAX_RETRIES="2")
    await worker.ready()
    out=[]
    for n in (1,2):
        async def at(n=n):
            rows = await system.rows("SELECT outcome::text, attempt FROM outcomes")
            assert rows and rows[0]["attempt"]>=n
        from tests.support.waiting import eventually
        await eventually(at, timeout_seconds=20)
        out.append(dict((await system.rows("SELECT record_id, token, outcome::text, attempt, error_kind, error_message, source_topic, source_partition, source_offset FROM outcomes"))[0]))
    await system.wait_for(1,"dead_lettered")
    out.append(dict((await system.rows("SELECT record_id, token, outcome::text, attempt, error_kind, error_message, source_topic, source_partition, source_offset FROM outcomes"))[0]))
    for topic in (system.topic+".retry.3s", system.topic+".dlq"):
        c = AIOKafkaConsumer(topic, bootstrap_servers=system.kafka, auto_offset_reset="earliest", group_id=None)
        await c.start()
        try:
            while True:
                m = await asyncio.wait_for(c.getone(), 3)
                out.append((m.topic, m.partition, m.offset, m.timestamp, m.key, m.value, m.headers))
        except asyncio.TimeoutError: pass
        await c.stop()
    with capsys.disabled():
        for o in out: print(o)
        print(worker.log)
    await worker.terminate()
