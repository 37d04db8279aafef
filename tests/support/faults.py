"""Faults that must last."""

import asyncio


async def hold_fault(seconds: float) -> None:
    """Let a fault that is on stay on. The only sleep of the tests: nothing is waited for, time itself is the fault."""
    await asyncio.sleep(seconds)
