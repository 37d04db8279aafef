"""The API misbehaves.

Situation: two workers, hundreds of calls in flight; every third call goes wrong in one of a dozen ways: it hangs, drips a
byte a second, closes before or half way through its answer, answers 10 MB, a web page, bytes that are no text, a NUL, a lone
surrogate, JSON of any depth, a number of any size, more bytes than it said.
Fault: all of that at once; in it a worker is stopped.
Must hold: each of these tokens ends as a dead letter with the kind of what went wrong, each other one succeeds; nothing
lost, no row twice; memory stays what it was; a call is repeated only where its connection closed before any answer.
"""

from tests.support.memory import watched_memory
from tests.support.world import World

CALL_TIMEOUT_SECONDS = 10
KINDS = {
    "transient": (
        "hang", "drip", "cut_before", "cut_half", "not_json", "not_utf8", "wrong_length", "lone_surrogate", "deep_json",
    ),
    "rejected": ("huge_answer",),
    "unstorable": ("nul", "huge_number"),
}  # fmt: skip
CLIENTS = ("aiohttp", "wire")
RATIO = 0.025
MORE_MEMORY_MIB = 150
UNSCRAPED = 10
"""Calls of the stopped worker that end in its last 0.2 s, after its last scrape."""


async def test_an_api_that_misbehaves_in_every_way_costs_its_own_tokens(world: World) -> None:
    """Nothing that an API sends stops a worker, or reaches a token that it was not for."""
    kinds = [kind for kinds in KINDS.values() for kind in kinds]
    world.mock.change(misbehaviours=dict.fromkeys(kinds, RATIO))
    await world.produce()
    client = world.random.choice(CLIENTS)
    world.notes.append(client)
    settings = {"PROVIDER_CLIENT": client, "PROVIDER_TIMEOUT_SECONDS": str(CALL_TIMEOUT_SECONDS)}
    workers = await world.start_workers(2, **settings)
    async with watched_memory(workers) as memory:
        await world.moment(high=0.3)
        await world.random.choice(workers).terminate()
        await world.stored(1)
    assert memory.peak < memory.before + MORE_MEMORY_MIB

    seen = world.mock.stats()["misbehaviours"]
    sent_again = seen["cut_before"] + seen["wrong_length"]
    late = seen["hang"] + seen["drip"]  # the last calls of a drain: enough of them for the breaker, so they are made again
    await world.finish(beyond_at_most=sent_again + late, unscraped_at_most=UNSCRAPED)
    rows = await world.system.rows("SELECT error_kind, count(*) FROM dead_letters GROUP BY 1")
    letters = {row["error_kind"]: row["count"] for row in rows}
    bugs = await world.system.rows("SELECT token, error_message FROM dead_letters WHERE error_kind = 'unexpected' LIMIT 5")
    told = f"{client}: dead letters {letters}, misbehaviours {seen}, unexpected {[tuple(bug) for bug in bugs]}"
    assert letters.keys() == KINDS.keys(), told
    for kind in ("rejected", "unstorable"):
        played = sum(seen[each] for each in KINDS[kind])
        assert played / 2 <= letters[kind] <= played, told  # on a busy machine some come after their call's timeout
    slow = 0.05 * world.size.tokens  # see above
    assert await world.system.count() >= world.size.tokens - sum(seen.values()) - slow, told
