"""How much of the machine others used while a row was measured: what makes a figure worth less."""

import time

import psutil


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
        this = psutil.Process()
        return float(busy) - sum(_used(each) for each in (this, *this.children(recursive=True)))


def _used(process: psutil.Process) -> float:
    """CPU time of a process and of those of its children that have ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
