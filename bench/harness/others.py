"""How much of the machine others used while a row was measured: what makes a figure worth less."""

import time

import psutil

from bench.harness.stack import tree_cpu


class Others:
    """CPU time of everything that is not of this benchmark, since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._start = self._seconds()

    @property
    def cores(self) -> float:
        """Cores that others used on average."""
        return max(0.0, (self._seconds() - self._start) / (time.monotonic() - self._started))

    @staticmethod
    def _seconds() -> float:
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - getattr(machine, "guest", 0.0)
        return float(busy) - tree_cpu(psutil.Process())
