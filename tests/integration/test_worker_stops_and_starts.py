import asyncio
import random

from tests.support.system import System
from tests.support.waiting import eventually


async def test_a_worker_stopped_and_started_half_way_repeats_no_call(system: System) -> None:
    """Invariant 8: with the database there, a planned stop and every join repeat nothing."""
    tokens = [f"t{number}" for number in range(2_000)]
    system.mock.behave(latency_min_seconds=0.2, latency_max_seconds=0.8)
    await system.produce(token.encode() for token in tokens)

    first, second = system.start_worker(), system.start_worker()
    await asyncio.gather(first.ready(), second.ready())
    await system.wait_for(len(tokens) // 4)
    await first.terminate()
    third = system.start_worker()
    await third.ready()
    await system.wait_for(len(tokens))

    await system.assert_promise(tokens)
    await second.terminate()
    await third.terminate()


async def test_a_killed_worker_loses_nothing_and_repeats_at_most_what_it_had_in_flight(system: System) -> None:
    """Kill -9 at a random moment: every token ends in one row; no more calls repeat than the victim had running."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    tokens = [f"t{number}" for number in range(2_000)]
    system.mock.behave(latency_min_seconds=0.5, latency_max_seconds=1.5)
    await system.produce(token.encode() for token in tokens)

    survivor, victim = system.start_worker(), system.start_worker()
    await asyncio.gather(survivor.ready(), victim.ready())
    await system.wait_for(random.Random(seed).randrange(100, 600))
    victim.kill()
    await system.wait_for(len(tokens))

    slots = 10 * 20
    persisting = 100  # answers of that moment whose row was not committed: at most a linger's worth, generously
    await system.assert_promise(tokens, repeats_at_most=slots + persisting)
    await survivor.terminate()


async def test_a_worker_is_alive_before_it_has_joined_and_ready_only_then(system: System) -> None:
    """Invariant 12: the health server comes first, since a joiner waits for the drain of everybody else."""
    system.mock.behave(latency_min_seconds=3, latency_max_seconds=3)
    await system.produce(f"t{number}".encode() for number in range(400))
    first = system.start_worker()
    await first.ready()

    async def calls_run() -> None:
        assert system.mock.stats()["in_flight"] > 100

    await eventually(calls_run, timeout_seconds=10)
    joiner = system.start_worker()

    async def alive_but_not_ready() -> None:
        assert joiner.process.poll() is None
        live, _ = await joiner.get("/health/live")
        ready, text = await joiner.get("/health/ready")
        assert (live, ready) == (200, 503), text
        assert "joining" in text

    await eventually(alive_but_not_ready, timeout_seconds=10, interval_seconds=0.02)
    await joiner.ready()
    await system.wait_for(400)
    await joiner.terminate()
    await first.terminate()
    assert system.mock.stats()["repeated_calls"] == 0


async def test_a_worker_says_what_to_change_when_it_cannot_start(system: System) -> None:
    """A missing topic, a database of another group, a database that is away: one sentence each, and an exit code."""
    cases = [
        ({"TOKENS_TOPIC": f"{system.topic}-nowhere"}, 2, "tokenflow topics create"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"}, 1, "DATABASE_URL"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 1, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"WORKER_CONCURRENCY": "0"}, 2, "WORKER_CONCURRENCY=0"),
        ({"PROVIDER_URL": "http://127.0.0.1/score"}, 2, "{token}"),
    ]
    await system.rows("INSERT INTO consumer_group (group_id) VALUES ('somebody-else')")
    cases.append(({}, 2, "tokenflow migrate --adopt-group"))
    workers = [(system.start_worker(**settings), code, words) for settings, code, words in cases]
    for worker, code, words in workers:
        assert await worker.ended() == code, worker.log
        assert words in worker.log
        assert "Traceback" not in worker.log
