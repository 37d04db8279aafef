"""A stack in the background: `up --detach` starts the real `up` in a session of its own and shows what it says until ready.

The two talk over one pipe: the background process writes its screen there too, and one byte once everything is ready. The
end of the pipe without that byte means that it gave up, and why was shown already. It outlives the one who started it.
"""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final, TextIO

from infra.local.state import StateFolder

READY: Final = "\0"
"""No text of a screen has it."""
END_SECONDS: Final = 60.0
"""From the end of the pipe to the end of the process that held it."""


class Reported(io.TextIOBase):
    """A text stream for the background process: its log, and until it is ready, whoever started it."""

    def __init__(self, log: TextIO, descriptor: int) -> None:
        self._log = log
        self._report: IO[str] | None = os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")

    def write(self, text: str) -> int:
        """Write to both; a starter that has gone away is forgotten."""
        self._log.write(text)
        if self._report is not None:
            try:
                self._report.write(text)
                self._report.flush()
            except OSError:
                self._report = None
        return len(text)

    def flush(self) -> None:
        """Flush the log."""
        self._log.flush()

    def ready(self) -> None:
        """Tell the starter that it may leave."""
        self.write(READY)
        if self._report is not None:
            self._report.close()
            self._report = None


def start_detached(arguments: Sequence[str]) -> int:
    """Run `tokenflow up` with these arguments in the background; returns 0 once it is ready, 1 when it gave up."""
    state = StateFolder.here()
    state.logs.mkdir(parents=True, exist_ok=True)
    readable, writable = os.pipe()
    with (state.logs / "up.log").open("a", encoding="utf-8") as log, os.fdopen(readable, "rb", buffering=0) as report:
        process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-P", "-m", "infra.cli", "up", *arguments, "--report-to", str(writable)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writable],
            start_new_session=True,
        )
        os.close(writable)
        is_ready = _show(report, process)
    if is_ready:
        return 0
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    return 1


def _show(report: io.FileIO, process: "subprocess.Popen[bytes]") -> bool:
    """Show what comes through the pipe; True when it ended with the sign of readiness. Ctrl-C goes on to the process."""
    is_ready = False
    while True:
        try:
            chunk = report.read(65_536)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            continue
        if not chunk:
            return is_ready
        text = chunk.decode(errors="replace")
        is_ready = is_ready or READY in text
        sys.stdout.write(text.replace(READY, ""))
        sys.stdout.flush()
