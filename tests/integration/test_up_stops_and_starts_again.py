"""The lives of one folder: Ctrl-C under load, `make down`, kill -9 of the parent, and what the next start finds."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.stacks import STOP_SECONDS, UserStack, settings_of_a_stack, still_running
from tests.support.waiting import eventually

STOP_ORDER = ("API", "worker 1", "mock API", "Kafka", "PostgreSQL")
TOKENS = [f"life-{number}" for number in range(40)]


@pytest.fixture
def stack(clear_environment: None, tmp_path: Path) -> Iterator[UserStack]:
    """Name a folder where calls take 2-3 s, so that a stop meets some."""
    user = UserStack(
        tmp_path, {**settings_of_a_stack(), "MOCK_API_LATENCY_MIN_SECONDS": "2", "MOCK_API_LATENCY_MAX_SECONDS": "3"}
    )
    yield user
    user.end()


async def test_a_folder_keeps_its_tokens_through_every_way_to_stop(stack: UserStack) -> None:
    """Ctrl-C finishes the calls and stops in order, `down` leaves nothing, kill -9 nothing within 5 s; no token is lost."""
    stack.up()
    for token in TOKENS:
        stack.submit(token)
    processes = interrupt(stack)
    assert still_running(processes) == []

    detached = stack.run("up", "--detach")
    assert detached.returncode == 0, detached.stdout + detached.stderr
    assert "Ctrl-C" not in detached.stdout
    assert [stack.outcome(token) for token in TOKENS] == ["succeeded"] * len(TOKENS)
    processes = stack.processes()
    down = stack.run("down")
    assert (down.returncode, still_running(processes)) == (0, []), down.stdout + down.stderr
    assert "Nothing runs" in stack.run("down").stdout

    stack.up()
    processes = stack.processes()
    processes[0].kill()

    def nothing_runs() -> None:
        assert still_running(processes) == []

    await eventually(nothing_runs, timeout_seconds=5)


def interrupt(stack: UserStack) -> list[psutil.Process]:
    """Press Ctrl-C under load; return the processes that ran until then."""
    assert stack.process is not None
    processes = stack.processes()
    stack.process.send_signal(signal.SIGINT)
    code = stack.process.wait(STOP_SECONDS)
    screen = stack.screen
    assert code == 0, screen
    assert "Ctrl-C again stops now and repeats them" in screen
    lines = [line for line in screen.splitlines() if line.startswith(STOP_ORDER) and "  stopped" in line]
    assert tuple(line.split("  ")[0] for line in lines) == STOP_ORDER, screen
    return processes
