"""A tenth of the tokens is poison.

Situation: two workers, hundreds of calls in flight, good tokens alone.
Fault: then as many good tokens, and with each ten of them one that the API answers with 500 for ever.
Must hold: every good one succeeds at its first call; every poisonous one is tried as often as it may be and is a dead letter
with its error; no gate closes, neither by its first tries nor by those that are due. How much slower the good ones become is
shown, and measured by `make bench`.
"""

import time

from tests.support.world import World

POISON = {"pattern": "t-.*7", "behaviour": {"statuses": {"500": 1}}}
MAX_RETRIES = 1


async def test_poison_among_good_tokens_ends_in_the_dlq_and_stops_nobody(world: World) -> None:
    """Failures cost their own tokens, and nobody else's time."""
    await world.retry(max_retries=MAX_RETRIES)
    world.mock.change(rules=[POISON])
    await world.start_workers(2)
    half = world.size.tokens // 2
    began = time.monotonic()
    await world.produce(half, prefix="clean-")
    await world.stored(1)
    clean_seconds = time.monotonic() - began

    began = time.monotonic()
    poison = [token for token in await world.produce(half, prefix="t-") if token.endswith("7")]
    good = 2 * half - len(poison)
    await world.system.wait_for(good)
    ratio = (half - len(poison)) / (time.monotonic() - began) / (half / clean_seconds)
    world.notes.append(f"good ones beside poison at {ratio:.2f} of the rate without")

    result = await world.finish()
    assert (result.retries, result.dead) == (MAX_RETRIES * len(poison), len(poison))
    assert await world.system.count() == good
    query = "SELECT error_kind, attempt, count(*) FROM dead_letters WHERE error_message LIKE '%500%' GROUP BY 1, 2"
    assert [tuple(row) for row in await world.system.rows(query)] == [("transient", 1 + MAX_RETRIES, len(poison))]
    assert world.logged("gate breaker closed") == 0
