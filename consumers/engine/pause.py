"""Whether this process stood still for longer than its group waits for it; see consumers/engine/pulse.py. Pure."""

import time


def uptime() -> float:
    """Seconds on a clock that goes on while the machine is suspended, where the system has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Pause:
    """Whether the process stood still too long. Pure; the clock is an argument."""

    __slots__ = ("_beat", "_limit_seconds", "on")

    def __init__(self, *, limit_seconds: float, now: float) -> None:
        self._limit_seconds = limit_seconds
        self._beat = now
        self.on = False

    def noticed(self, now: float) -> bool:
        """Return whether a pause is on: from the first look after it until `end`."""
        self.on = self.on or now - self._beat > self._limit_seconds
        return self.on

    def beat(self, now: float) -> None:
        """Note that the process runs."""
        self._beat = now

    def end(self, now: float) -> None:
        """Note that this is a member still, or again."""
        self.on = False
        self._beat = now
