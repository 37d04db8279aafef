"""A retry is due by the broker's clock, whatever the worker's own clock says."""

import pytest

from tests.support.contract import read_all
from tests.support.mock_processes import ROOT
from tests.support.system import System
from topics.catalogue import retry_topic_name

DELAY_SECONDS = 3
SKEW_SECONDS = 20.0
LATE_SECONDS = 2.0
"""A busy machine."""


@pytest.mark.parametrize("skew_seconds", [-SKEW_SECONDS, SKEW_SECONDS], ids=["behind", "ahead"])
async def test_a_worker_whose_clock_is_wrong_retries_when_due(system: System, skew_seconds: float) -> None:
    """Its produce and what it polls tell it the time: neither 20 s early nor 20 s late."""
    await system.create_topics(retry_delay_minutes=DELAY_SECONDS / 60)
    system.mock.behave(rules=[{"pattern": "flaky.*", "behaviour": {"fail_first_calls": 1, "fail_first_with": 500}}])
    await system.produce([b"flaky1", b"flaky2"])
    path = f"{ROOT / 'tests/support/skewed_clock'}:{ROOT}"
    worker = system.start_worker(PYTHONPATH=path, CLOCK_SKEW_SECONDS=str(skew_seconds))
    await worker.ready()
    await system.wait_for(2)
    await worker.terminate()
    second_calls = {each["token"]: each["at"] for each in system.mock.stats("?repeats=true")["repeats"]}
    parked = await _appended(system)
    assert parked.keys() == second_calls.keys() == {"flaky1", "flaky2"}
    waited = {token: second_calls[token] - parked[token] for token in parked}
    assert all(DELAY_SECONDS <= seconds < DELAY_SECONDS + LATE_SECONDS for seconds in waited.values()), waited


async def _appended(system: System) -> dict[str, float]:
    """Read the retry copies: token -> the broker's append time, seconds since 1970."""
    topic = retry_topic_name(system.topic, DELAY_SECONDS / 60)
    copies = await read_all(system.kafka, topic)
    return {(copy.value or b"").decode(): copy.timestamp / 1000 for copy in copies}
