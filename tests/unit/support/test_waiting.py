import asyncio
import time

import pytest

from tests.support.faults import hold_fault
from tests.support.waiting import eventually


async def test_it_returns_as_soon_as_the_assertion_holds() -> None:
    """Sync or async."""
    calls = iter([False, False, True])

    def holds() -> None:
        assert next(calls)

    async def holds_too() -> None:
        await asyncio.sleep(0)
        assert True

    await eventually(holds, timeout_seconds=5, interval_seconds=0.01)
    await eventually(holds_too, timeout_seconds=5)
    assert next(calls, None) is None


async def test_it_raises_the_last_failure_when_the_time_is_over() -> None:
    """With the assertion's own words."""
    began = time.monotonic()

    def fails() -> None:
        pytest.fail(f"after {time.monotonic() - began:.1f} s")

    def refuses() -> None:
        msg = "it is still so"
        raise AssertionError(msg)

    with pytest.raises(AssertionError, match="still so"):
        await eventually(refuses, timeout_seconds=0.1, interval_seconds=0.01)
    assert 0.1 <= time.monotonic() - began < 5
    with pytest.raises(pytest.fail.Exception, match=r"after 0\.\d s"):
        await eventually(fails, timeout_seconds=5)


async def test_another_error_is_not_waited_out() -> None:
    """A broken assertion is not a false one."""

    def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await eventually(broken, timeout_seconds=60)


async def test_a_fault_is_held_for_its_time() -> None:
    """No less."""
    began = time.monotonic()
    await hold_fault(0.05)
    assert time.monotonic() - began >= 0.05
