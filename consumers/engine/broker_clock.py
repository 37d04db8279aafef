"""The brokers' clock, as far as their append timestamps give it away. Pure; our own clock is an argument.

A retry is due by the broker's clock, and a client cannot ask a broker for the time. But each append timestamp is a reading
of that clock, and bounds how far it is ahead of ours:

    of a record that was polled at P:         ahead >= append - P
    of our own produce, sent at S and         ahead >= append - A
    acknowledged at A:                        ahead <= append - S, and less than 1 ms that was rounded off

The greatest lower bound counts: never early, and late by what the quickest of these records took to get here. A produce
that contradicts it (a clock was set, or they drift apart) starts anew. Until the first produce an upper bound is missing;
our clock is then taken to be right or behind. Brokers whose clocks differ are not told apart: the last reading decides.
Written by the producer of retry copies and by the pump.
"""

import time
from collections.abc import Callable
from math import inf
from typing import Protocol

ROUNDED_MS = 1
"""A timestamp is a whole number of milliseconds, rounded down: the append was later by less than that."""
LOG_APPEND_TIME = 1
"""Kafka's TimestampType: the broker set it, not the producer."""


class Stamped(Protocol):
    """What aiokafka says of a record that was polled, or acknowledged."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102 - Kafka's own words
    @property
    def timestamp_type(self) -> int: ...  # noqa: D102


class BrokerClock:
    """Milliseconds since 1970 on the brokers' clock. `now` is our clock, in seconds since 1970."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._bound_ms = -inf
        self._produced = False

    @property
    def ahead_ms(self) -> float:
        """How far the brokers' clock is ahead of ours, at the least; negative where it is behind."""
        return self._bound_ms if self._produced else max(0.0, self._bound_ms)

    def own_ms(self) -> float:
        """Tell what time it is here."""
        return self._now() * 1000

    def now_ms(self) -> float:
        """Tell what time it is there, at the least."""
        return self.own_ms() + self.ahead_ms

    def polled(self, record: Stamped) -> None:
        """Learn from a record that a poll returned just now."""
        if record.timestamp_type == LOG_APPEND_TIME:
            self._bound_ms = max(self._bound_ms, record.timestamp - self.own_ms())

    def produced(self, placed: Stamped, *, sent_ms: float) -> None:
        """Learn from a produce that was acknowledged just now, and sent at `sent_ms` of our clock or later."""
        if placed.timestamp_type != LOG_APPEND_TIME:
            return
        if placed.timestamp + ROUNDED_MS - sent_ms < self._bound_ms:
            self._bound_ms = -inf
        self._bound_ms = max(self._bound_ms, placed.timestamp - self.own_ms())
        self._produced = True
