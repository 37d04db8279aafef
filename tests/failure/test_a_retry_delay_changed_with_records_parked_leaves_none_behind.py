"""RETRY_DELAY_MINUTES is changed while records are parked.

Situation: two workers; a quarter as many records as a scenario has tokens lie in the retry topic of 12 s.
Fault: the workers are stopped, and started again with a delay of 3 s, which is another topic; more tokens come and fail.
Must hold: what lies in the old topic is drained, each record when it is due by the delay that it was parked with; what fails
from now on is parked in the new one; each is tried as often as it may be, none early.
"""

from tests.support.hops import read_hops
from tests.support.world import World
from topics.catalogue import retry_topic_name

UNREADABLE_TWICE = {"pattern": ".*", "behaviour": {"fail_first_calls": 2, "fail_first_with": "not_json"}}
OLD_MINUTES = 0.2
NEW_MINUTES = 0.05


async def test_a_retry_delay_changed_with_records_parked_leaves_none_behind(world: World) -> None:
    """A topic is read as long as it exists, by the delay in its name."""
    await world.retry(delay_minutes=OLD_MINUTES)
    world.mock.change(rules=[UNREADABLE_TWICE])
    parked = await world.produce(world.size.tokens // 4, prefix="parked")
    workers = await world.start_workers(2)
    await world.waiting(len(parked))
    for worker in workers:
        await worker.terminate()

    await world.retry(delay_minutes=NEW_MINUTES)
    await world.start_workers(2)
    later = await world.produce(world.size.tokens // 4, prefix="later")
    result = await world.finish()
    assert (result.retries, result.dead) == (2 * len(parked + later), 0)
    hops = await read_hops(world.system.kafka, f"{world.system.topic}.retry.")
    old, new = (retry_topic_name(world.system.topic, minutes) for minutes in (OLD_MINUTES, NEW_MINUTES))
    ways = {(hop.token.rstrip("0123456789"), hop.attempt, hop.topic) for hop in hops}
    assert ways == {("parked", 2, old), ("parked", 3, new), ("later", 2, new), ("later", 3, new)}
