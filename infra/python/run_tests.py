"""What `make test` runs: two lanes side by side, so that the whole fits into five minutes on two cores.

One lane is the integration tests, which mostly wait for Kafka and PostgreSQL; the other is every other test, then those of
`tokenflow up` as a whole, then the unit tests on the other Pythons. The first is shown as it runs, the second once both have
ended.
"""

# ruff: noqa: INP001 - a script beside the locks, not part of a package
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Final

PYTEST: Final = (sys.executable, "-m", "pytest", "-q")
INTEGRATION: Final = "tests/integration"
WHOLE_STACKS: Final = sorted(str(path) for path in Path(INTEGRATION).glob("test_up_*.py"))
SHOWN: Final = ((*PYTEST, INTEGRATION, *(f"--ignore={path}" for path in WHOLE_STACKS)),)
BESIDE: Final = (
    (*PYTEST, "tests", f"--ignore={INTEGRATION}", "--ignore=tests/failure"),
    (*PYTEST, *WHOLE_STACKS),
    ("sh", "infra/python/other_versions.sh"),
)
INTERRUPTED: Final = 130
END_SECONDS: Final = 60.0
"""What an interrupted pytest gets to stop the servers that it started."""


class Lane:
    """Commands that run one after the other; the first that fails ends the lane."""

    def __init__(self, commands: Sequence[Sequence[str]], output: IO[bytes] | None) -> None:
        self.code = 0
        self._commands = commands
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> None:
        """Run them all."""
        for command in self._commands:
            if self.code or self._stopped:
                return
            self._process = subprocess.Popen(command, stdout=self._output, stderr=self._output)  # noqa: S603 - named above
            self.code = self._process.wait()

    def stop(self) -> None:
        """Interrupt what runs, as Ctrl-C does."""
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)


def main() -> int:
    """Run both lanes to their ends; 1 if either failed."""
    with tempfile.TemporaryFile() as output:
        say("integration tests; all others run beside them and are shown below")
        code = run_beside(Lane(SHOWN, None), Lane(BESIDE, output), end_seconds=END_SECONDS)
        if code != INTERRUPTED:
            output.seek(0)
            say(output.read().decode(errors="replace").rstrip())
    return code


def run_beside(*lanes: Lane, end_seconds: float) -> int:
    """Run lanes side by side to their ends; 1 if any failed, INTERRUPTED where Ctrl-C or SIGTERM ended them early."""
    signal.signal(signal.SIGTERM, _interrupt)
    threads = [threading.Thread(target=lane.run, daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        for lane in lanes:
            lane.stop()
        for thread in threads:
            thread.join(end_seconds)
        return INTERRUPTED
    return 1 if any(lane.code for lane in lanes) else 0


def say(text: str) -> None:
    """Print for people, in order with what the commands print themselves."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
