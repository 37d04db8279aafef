"""Sliding windows over the times of requests: the mock's own rate limit, and its witness. Pure; the clock is an argument.

Both keep the time of every request in the window, so they are exact: no bucket, no average.
"""

import math
from collections import deque


class SlidingCount:
    """How many requests came within the last `seconds`, and the largest number that ever did since the last reset."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.largest = 0
        self._times: deque[float] = deque()

    def note(self, now: float) -> None:
        """Count a request that came now."""
        self._times.append(now)
        self.largest = max(self.largest, self.count(now))

    def count(self, now: float) -> int:
        """Return how many came in the window that ends now; one that is exactly `seconds` old is not in it any more."""
        times, begin = self._times, now - self.seconds
        while times and times[0] <= begin:
            times.popleft()
        return len(times)

    def reset(self) -> None:
        """Begin anew: the requests so far are in no window."""
        self._times.clear()
        self.largest = 0


class SlidingLimit:
    """Lets at most `calls` requests through in any window of `seconds`. Refused ones do not count against it."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls = calls
        self.seconds = seconds
        self._let_through: deque[float] = deque(maxlen=calls)

    def wait_seconds(self, now: float) -> float:
        """Let a request through (0), or say how long it is until one will be; `now` never runs backwards."""
        if len(self._let_through) == self.calls:
            wait = self._let_through[0] + self.seconds - now
            if wait > 0:
                return wait
        self._let_through.append(now)
        return 0.0


def retry_after(wait_seconds: float) -> int:
    """Return what Retry-After says of a wait: whole seconds, never too few, at least 1."""
    return max(1, math.ceil(wait_seconds))
