"""Set a process's wall clock: first on PYTHONPATH, it shifts time.time by CLOCK_SKEW_SECONDS before anything imports it."""

import os
import time

_right = time.time
_skew_seconds = float(os.environ["CLOCK_SKEW_SECONDS"])


def _skewed() -> float:
    return _right() + _skew_seconds


time.time = _skewed
