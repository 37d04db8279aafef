"""Everything that can go wrong with the mock API, at once: whatever happens, its count must stay the witness."""

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path

from mock_api.ledger import ENDS
from mock_api.profile import KINDS
from tests.support.faults import hold_fault
from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.raw_http import RawConnection, score_of, scores_of
from tests.support.waiting import eventually

STORM_SECONDS = 2.5
CALLERS = 60
PROFILE = {
    "latency_max_seconds": 0.05,
    "misbehaviours": dict.fromkeys(KINDS, 0.04),
    "statuses": {"429": 0.05, "503": 0.05, "304": 0.02},
    "left_out_ratio": 0.05,
    "rules": [{"pattern": ".*7", "behaviour": {"fail_first_calls": 1, "statuses": {}, "misbehaviours": {"nul": 0.5}}}],
    "rate_limit": {"calls": 400, "window_seconds": 0.5},
    "hang_seconds": 0.2,
    "drip_seconds": 0.001,
    "huge_bytes": 300_000,
}


async def test_the_sums_agree_after_a_storm(tmp_path: Path) -> None:
    """Callers that leave, batches, pipelining, outages, resets: in the end all is counted, and nothing was an error."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with running_mock_api(tmp_path) as mock:
        mock.behave(**PROFILE, seed=seed)
        end = time.monotonic() + STORM_SECONDS
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            callers = [group.create_task(_call_until(mock.port, end, random.Random(rng.random()))) for _ in range(CALLERS)]
            group.create_task(_disturb_until(mock, end, rng))
        assert sum(caller.result() for caller in callers) > CALLERS, "it was no storm"
        mock.come_up()
        await eventually(lambda: _assert_sums(mock), timeout_seconds=10)
        mock.process.terminate()
        _, complained = mock.process.communicate(timeout=5)
    assert complained == ""


async def _call_until(port: int, end: float, rng: random.Random) -> int:
    """Open a connection, ask for this and that, read as long as patience lasts, leave; return how often something came."""
    came = 0
    while time.monotonic() < end:
        with suppress(ConnectionError, TimeoutError):
            connection = await RawConnection.open(port)
            try:
                async with asyncio.timeout(rng.uniform(0, 0.3)):
                    await connection.send(b"".join(_request(rng) for _ in range(rng.randint(1, 5))))
                    while await connection.read_some():
                        came += 1
            finally:
                await connection.close()
        await asyncio.sleep(0)
    return came


def _request(rng: random.Random) -> bytes:
    tokens = [str(rng.randint(0, 500)) for _ in range(rng.randint(1, 20))]
    return scores_of(tokens) if rng.random() < 0.3 else score_of(tokens[0])


async def _disturb_until(mock: MockProcess, end: float, rng: random.Random) -> None:
    """Disturb again and again, while calls are running."""
    while time.monotonic() < end:
        await asyncio.to_thread(_disturb, mock, rng)
        await hold_fault(0.03)


def _disturb(mock: MockProcess, rng: random.Random) -> None:
    """Reset, change the profile, go down, come up, or ask for everything."""
    match rng.randint(0, 4):
        case 0:
            mock.ask("POST", "/reset")
        case 1:
            mock.change(seed=rng.randint(0, 99))
        case 2:
            mock.go_down(rng.choice(["close", "refuse"]), seconds=rng.uniform(0.01, 0.1))
        case 3:
            mock.come_up()
        case _:
            mock.stats("?tokens=true")


def _assert_sums(mock: MockProcess) -> None:
    stats = mock.stats("?tokens=true")
    assert stats["in_flight"] == stats["connections"] - 1 == 0
    assert stats["calls"] == sum(stats[end] for end in ENDS) == sum(stats["calls_by_token"].values())
    assert stats["repeated_calls"] == stats["calls"] - len(stats["calls_by_token"])
