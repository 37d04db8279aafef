"""`scripts/load_test.py` as a process, in a Python with nothing but the standard library, or in the checkout's own."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.processes import END_SECONDS, ROOT


class LoadTest:
    """A running load test and, once it `ended`, what it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def ended(self, *, timeout_seconds: float = END_SECONDS) -> int:
        """Wait for its end; return the exit code."""
        async with asyncio.timeout(timeout_seconds):
            output, _ = await self.process.communicate()
        self.output = output.decode()
        assert self.process.returncode is not None
        return self.process.returncode

    def number(self, pattern: str) -> int:
        """Find a number in what it printed; the pattern's one group is it, thousands by commas."""
        found = re.search(pattern, self.output, re.MULTILINE)
        assert found is not None, self.output
        return int(found[1].replace(",", ""))


@asynccontextmanager
async def load_test(*options: str, bare: bool = True) -> AsyncIterator[LoadTest]:
    """Run it with these options; killed when the block ends before it does. `bare`: no installed package is seen."""
    script = str(ROOT / "scripts" / "load_test.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(("-I", "-S", script, "--no-venv") if bare else (script,)),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield LoadTest(process)
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.wait_for(process.wait(), END_SECONDS)
