"""What `tokenflow up` shows: a table that is alive while parts start or stop, and lines at any other time.

On a terminal the table is redrawn in place; elsewhere (a pipe, a log file) each change of a state is one line. Whoever
calls says what happened, and never waits: a terminal that is gone must not keep the stack from stopping.
"""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

REFRESHES_PER_SECOND: Final = 4
QUOTED: Final = "    "
STYLES: Final = {
    "ready": "green",
    "stopped": "green",
    "done": "green",
    "failed": "bold red",
    "ended": "bold red",
    "killed": "red",
}
SETTLED: Final = frozenset({"waiting", "ready", "done", "stopped", "failed", "killed"})
"""States whose clock stands still."""


class Stream(Protocol):
    """What a screen writes to: a text file, or what looks like one."""

    def write(self, text: str, /) -> int:
        """Write text."""

    def flush(self) -> None:
        """Let it be seen."""

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""

    def fileno(self) -> int:
        """Number of the file below."""


class Enduring:
    """A text stream that outlives its reader: what it cannot take is dropped (terminal closed, pipe ended)."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def isatty(self) -> bool:
        """Tell whether this is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Number of the underlying file, which Rich asks for the width."""
        return self._stream.fileno()


@dataclass(slots=True)
class Row:
    """One part on the screen; `took_seconds` is set once its state has settled."""

    state: str = "waiting"
    detail: str = ""
    since: float = 0.0
    took_seconds: float | None = None

    def seconds(self, now: float) -> float | None:
        """Time that the present state has lasted, or took; None while nothing has begun."""
        if self.took_seconds is None and self.state != "waiting":
            return now - self.since
        return self.took_seconds


class Screen:
    """The rows and lines of one run; used by the event loop's thread, drawn by Rich's."""

    def __init__(
        self, names: Iterable[str], *, stream: Stream = sys.stdout, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._rows = {name: Row() for name in names}
        self._width = max((len(name) for name in self._rows), default=0)
        self._console = Console(file=Enduring(stream), highlight=False)  # type: ignore[arg-type]  # Rich writes, flushes, asks isatty, no more
        self._live: Live | None = None

    def open(self) -> None:
        """Begin to draw the table in place, where there is a terminal to draw on."""
        if self._console.is_terminal and not self._console.is_dumb_terminal and self._live is None:
            self._live = Live(
                get_renderable=self._table,
                console=self._console,
                refresh_per_second=REFRESHES_PER_SECOND,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def close(self) -> None:
        """Leave the table as it stands; what follows is lines. Safe to call twice."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, name: str, state: str, detail: str = "") -> None:
        """Show a part's state. The clock starts with a state that moves and stops with one that has settled."""
        row, now = self._rows[name], self._clock()
        changed = state != row.state
        if changed and state in SETTLED:
            row.took_seconds = None if row.state == "waiting" else now - row.since
        elif changed and row.state in SETTLED:
            row.since, row.took_seconds = now, None
        row.state, row.detail = state, detail
        if changed and self._live is None:
            self.say(self._line(name))

    def say(self, text: str) -> None:
        """Print text above the table, if there is one. The terminal wraps long lines, so that they can be copied.

        Lines of a log, which begin with four blanks, are cut to the terminal's width: the log has them whole.
        """
        width = self._console.width if self._console.is_terminal else None
        lines = (line[:width] if line.startswith(QUOTED) else line for line in text.splitlines())
        self._console.print("\n".join(lines), markup=False, soft_wrap=True)

    def _line(self, name: str) -> str:
        row = self._rows[name]
        seconds = f"  {row.took_seconds:.1f} s" if row.took_seconds is not None else ""
        return f"{name:<{self._width}}  {row.state:<9} {row.detail}{seconds}".rstrip()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=self._width)
        table.add_column(no_wrap=True, min_width=9)
        table.add_column(no_wrap=True, justify="right", min_width=7)
        table.add_column(no_wrap=True, overflow="crop")
        now = self._clock()
        for name, row in self._rows.items():
            seconds = row.seconds(now)
            style = STYLES.get(row.state, "dim" if row.state == "waiting" else "yellow")
            table.add_row(name, f"[{style}]{row.state}[/]", "" if seconds is None else f"{seconds:.1f} s", row.detail)
        return table
