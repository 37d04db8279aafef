"""MAX_RETRIES is lowered while records are parked.

Situation: two workers with MAX_RETRIES=3; a quarter as many records as a scenario has tokens lie in the retry topic.
Fault: the workers are stopped, and started again with MAX_RETRIES=0 or 1.
Must hold: each parked record has the try that it was parked for, and no other: it succeeds, or it is a dead letter; nothing
lost, nothing tried more often than the old rule allows.
"""

from tests.support.world import World

UNREADABLE_ONCE = {"pattern": ".*[02468]", "behaviour": {"fail_first_calls": 1, "fail_first_with": "not_json"}}
UNREADABLE = {"pattern": ".*", "behaviour": {"misbehaviours": {"not_json": 1}}}
DELAY_MINUTES = 0.2


async def test_max_retries_lowered_with_records_parked_ends_them_by_the_new_rule(world: World) -> None:
    """A rule counts when an attempt ends; what was promised before is tried."""
    await world.retry(max_retries=3, delay_minutes=DELAY_MINUTES)
    world.mock.change(rules=[UNREADABLE_ONCE, UNREADABLE])
    parked = await world.produce(world.size.tokens // 4, prefix="parked")
    workers = await world.start_workers(2)
    await world.waiting(len(parked))
    for worker in workers:
        await worker.terminate()

    await world.retry(max_retries=world.random.choice([0, 1]), delay_minutes=DELAY_MINUTES)
    await world.start_workers(2)
    await world.finish()
    rows = await world.system.rows("SELECT outcome::text, attempt, count(*) FROM outcomes GROUP BY 1, 2")
    half = len(parked) // 2
    assert {tuple(row) for row in rows} == {("succeeded", 2, half), ("dead_lettered", 2, len(parked) - half)}
