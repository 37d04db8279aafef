"""Guarded children, as real processes."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.local.errors import LocalStackError
from infra.local.guard import MAX_LOG_BYTES, GuardedProcess
from tests.support.processes import assert_ended, descendants, python
from tests.support.waiting import eventually

STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "code = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'\n"
    "grandchild = subprocess.Popen([sys.executable, '-S', '-c', code], start_new_session=True)\n"
    "print('ready', grandchild.pid, flush=True)\n"
    "time.sleep(600)\n"
)
PARENT = (
    "import os, sys, time\n"
    "from pathlib import Path\n"
    "from infra.local.guard import GuardedProcess\n"
    "log = Path('child.log')\n"
    "child = GuardedProcess.start([sys.executable, '-S', '-c', sys.argv[1]], env=dict(os.environ), log_path=log)\n"
    "while 'ready' not in log.read_text(): time.sleep(0.02)\n"
    "print(child.pid, flush=True)\n"
    "sys.stdin.read()\n"
)


def start(code: str, folder: Path) -> GuardedProcess:
    """Start Python code under a guard, with its log in the folder."""
    argv = [sys.executable, "-S", "-c", code]
    return GuardedProcess.start(argv, env=dict(os.environ), log_path=folder / "child.log")


async def until_it_says(process: GuardedProcess, word: str) -> None:
    """Wait for a line of the child."""

    def said() -> None:
        assert word in " ".join(process.last_lines(10))

    await eventually(said, timeout_seconds=10)


@pytest.mark.parametrize(
    ("code", "expected"), [("raise SystemExit(0)", 0), ("raise SystemExit(7)", 7), ("import os; os.abort()", -6)]
)
def test_the_childs_exit_code_passes_through(tmp_path: Path, code: str, expected: int) -> None:
    """A signal that ended it too."""
    child = start(code, tmp_path)
    assert child.wait(10) == expected
    assert child.poll() == expected


def test_what_the_child_writes_is_in_its_log_and_only_this_run_is_quoted(tmp_path: Path) -> None:
    """The log is kept from run to run."""
    start("print('first')", tmp_path).wait(10)
    second = start("import sys; print('second'); print('error', file=sys.stderr)", tmp_path)
    second.wait(10)
    assert sorted(second.last_lines(10)) == ["error", "second"]
    assert second.last_lines(1) in (["second"], ["error"])
    assert second.log_path.read_text().startswith("first\n")


def test_a_large_log_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    """So a log never grows without end over many runs."""
    (tmp_path / "child.log").write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    start("print('fresh')", tmp_path).wait(10)
    assert (tmp_path / "child.log").read_text() == "fresh\n"
    assert (tmp_path / "child.log.old").stat().st_size == MAX_LOG_BYTES + 1


async def test_a_signal_reaches_the_child_and_a_terminals_signal_does_not(tmp_path: Path) -> None:
    """The guard ignores what a terminal sends; the child hears only what the parent passes on."""
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(3))\n"
        "print('ready', flush=True)\n"
        "signal.pause()"
    )
    child = start(code, tmp_path)
    await until_it_says(child, "ready")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        os.kill(psutil.Process(child.pid).ppid(), number)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.signal(signal.SIGUSR1)
    assert child.wait(10) == 3


async def test_a_child_starts_with_the_signals_of_a_shell(tmp_path: Path) -> None:
    """What the guard does with signals is not inherited: Ctrl-C style SIGINT stops a Python child as ever."""
    child = start("import time\nprint('ready', flush=True)\ntime.sleep(600)", tmp_path)
    await until_it_says(child, "ready")
    child.signal(signal.SIGINT)
    assert child.wait(10) == -signal.SIGINT


async def test_kill_ends_a_child_that_ignores_signals_and_what_it_started(tmp_path: Path) -> None:
    """Nothing is left when `wait` returns, not even a grandchild in a session of its own."""
    child = start(STUBBORN, tmp_path)
    await until_it_says(child, "ready")
    family = [psutil.Process(child.pid), *descendants(child.pid)]
    assert len(family) == 2
    child.kill()
    assert child.wait(10) == -signal.SIGKILL
    assert_ended(family)


async def test_what_a_child_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    """A child that ends by itself takes its own children along."""
    child = start(STUBBORN.replace("time.sleep(600)\n", "time.sleep(0.5)\n"), tmp_path)
    await until_it_says(child, "ready")
    [grandchild] = descendants(child.pid)
    assert child.wait(10) == 0
    assert_ended([grandchild])


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """With the operating system's reason; nothing stays behind."""
    before = len(descendants(os.getpid()))
    with pytest.raises(LocalStackError, match=r"Cannot start /does/not/exist: .*No such file"):
        GuardedProcess.start(["/does/not/exist"], env={}, log_path=tmp_path / "log")
    assert len(descendants(os.getpid())) == before


def test_waiting_has_a_deadline(tmp_path: Path) -> None:
    """And the child goes on."""
    child = start("import time; time.sleep(600)", tmp_path)
    with pytest.raises(TimeoutError, match="still runs"):
        child.wait(0.2)
    child.kill()
    assert child.wait(10) == -signal.SIGKILL
    child.signal(signal.SIGTERM)
    child.kill()


async def test_nothing_runs_five_seconds_after_the_parent_was_killed(tmp_path: Path) -> None:
    """Even a child that ignores its stop signal, with a grandchild that does too."""
    with python(PARENT, STUBBORN, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        family = descendants(parent.pid)
        assert child in [process.pid for process in family]
        assert len(family) == 3
        parent.kill()
        killed_at = time.monotonic()
        await eventually(lambda: assert_ended(family), timeout_seconds=5)
        assert time.monotonic() - killed_at < 5


async def test_a_killed_guard_takes_its_child_along(tmp_path: Path) -> None:
    """On Linux the kernel ends the child; nobody is left to watch it."""
    child = start("import time\nprint('ready', flush=True)\ntime.sleep(600)", tmp_path)
    await until_it_says(child, "ready")
    process = psutil.Process(child.pid)
    os.kill(process.ppid(), signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    await eventually(lambda: assert_ended([process]), timeout_seconds=5)
