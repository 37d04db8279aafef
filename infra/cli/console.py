"""What is printed for people: tables as wide as the terminal, or 80 columns into a file or a pipe; times; foreign text."""

import sys
from datetime import UTC, datetime
from typing import Final

from rich.console import Console

WIDTH: Final = 80


def console() -> Console:
    """Make the console of this output."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def moment(at: datetime) -> str:
    """Write a time in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    r"""Escape every character that does not print, as Python does: a line end reads as \n."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
