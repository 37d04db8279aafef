"""`tokenflow` as a user runs it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.system import System


async def tokenflow(system: System, *arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a folder where no stack runs, with the settings of a system; output is bytes."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "infra.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **system.environment},
        capture_output=True,
        check=False,
        timeout=60,
    )


async def dlq(system: System, *arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run `tokenflow dlq`."""
    return await tokenflow(system, "dlq", *arguments, folder=folder)


def begin_tokenflow(system: System, *arguments: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a command as `tokenflow` does, and leave it running: its caller ends it."""
    return subprocess.Popen(  # noqa: S603 - a test says the arguments
        [sys.executable, "-m", "infra.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **system.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
