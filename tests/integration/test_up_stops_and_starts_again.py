"""The lives of one folder: Ctrl-C under load, `make down`, kill -9 of the parent, and what the next start finds."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.processes import still_running
from tests.support.stacks import STOP_SECONDS, UserStack, ask, settings_of_a_stack
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


async def test_a_second_ctrl_c_does_not_wait_for_the_calls(clear_environment: None, tmp_path: Path) -> None:
    """With calls of 25 s running, the second Ctrl-C ends everything at once; servers still stop in good order."""
    user = UserStack(
        tmp_path, {**settings_of_a_stack(), "MOCK_API_LATENCY_MIN_SECONDS": "25", "MOCK_API_LATENCY_MAX_SECONDS": "25"}
    )
    try:
        user.up()
        user.submit("slow")
        processes = user.processes()
        await eventually(lambda: calling(user), timeout_seconds=10)
        began = time.monotonic()
        assert user.process is not None
        user.process.send_signal(signal.SIGINT)
        await eventually(lambda: said(user, "finishing 1 call"), timeout_seconds=10)
        user.process.send_signal(signal.SIGINT)
        assert user.process.wait(STOP_SECONDS) == 0, user.screen
        assert time.monotonic() - began < 20, user.screen
        assert still_running(processes) == []
        assert said_of(user, "worker 1", "killed"), user.screen
        assert said_of(user, "Kafka", "stopped"), user.screen
        assert said_of(user, "PostgreSQL", "stopped"), user.screen
    finally:
        user.end()


def calling(stack: UserStack) -> None:
    """Hold when the worker has a call running."""
    port = int(stack.settings["WORKER_PORT"]) + 1
    assert ask(f"http://127.0.0.1:{port}/status")[1]["calling"] == 1


def said(stack: UserStack, text: str) -> None:
    """Hold when the screen shows a text."""
    assert text in stack.screen, stack.screen


def said_of(stack: UserStack, part: str, state: str) -> bool:
    """Tell whether the screen has a line with this state of a part."""
    return any(line.startswith(f"{part} ") and f"  {state}" in line for line in stack.screen.splitlines())


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
