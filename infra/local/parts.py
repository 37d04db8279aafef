"""The parts of the stack as the supervisor sees them: start, tell whether it runs, say how it ended, stop.

A part owns at most one guarded process at a time. `start` may be cancelled at any await, and `stop` is legal in every
state: what has begun to run is found and stopped by it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from infra.local.errors import LocalStackError

Report = Callable[[str], None]


class Kind(IntEnum):
    """What a part is, in the order in which a stop goes through them: who sends work first, who stores it last."""

    STEP = 0
    API = 1
    WORKER = 2
    MOCK_API = 3
    KAFKA = 4
    POSTGRES = 5


class PartError(LocalStackError):
    """A part did not start; the text names it and shows its last log lines."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What a worker has to finish before it can stop."""

    calling: int
    drain_limit_seconds: float


class Part(Protocol):
    """One line of the screen. `needs` are the names of the parts that must be ready before it starts."""

    @property
    def name(self) -> str:
        """Name on the screen and of the log."""

    @property
    def kind(self) -> Kind:
        """Place in the order of stopping."""

    @property
    def needs(self) -> Sequence[str]:
        """Names of the parts that this one starts after."""

    async def start(self, report: Report) -> str:
        """Start, and return what to show once it is ready. `report` takes what to show meanwhile.

        Raises:
            PartError: it ended, or was not ready in time; nothing of it runs then.

        """

    def is_running(self) -> bool:
        """Tell whether its process lives; always False for a step."""

    def last_words(self) -> str:
        """Say how it ended, with its last log lines."""

    async def calls(self) -> Calls | None:
        """Ask what it has to finish; None when it is no worker, or does not answer."""

    async def stop(self, hurry: asyncio.Event) -> tuple[str, str]:
        """Stop it, by force once `hurry` is set or its deadline has passed; returns the state to show, and a detail."""
