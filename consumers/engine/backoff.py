"""Waiting times between tries against something that is away. Pure but for the jitter's randomness, which is passed in."""

import random
from collections.abc import Callable

FIRST_SECONDS = 0.1
LIMIT_SECONDS = 5.0


class Backoff:
    """Doubles from 0.1 s to 5 s, with up to half of it taken off at random, so that workers do not return in step."""

    __slots__ = ("_next", "_random")

    def __init__(self, *, rng: Callable[[], float] = random.random) -> None:
        self._next = FIRST_SECONDS
        self._random = rng

    def next_seconds(self) -> float:
        """Return how long to wait before the next try."""
        wait = self._next * (1 - self._random() / 2)
        self._next = min(self._next * 2, LIMIT_SECONDS)
        return wait
