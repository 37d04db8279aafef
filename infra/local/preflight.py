"""What must be true before anything is started: ports, disk, file descriptors, one stack a folder.

Each check is a pure sentence about numbers that a thin function reads from the machine; a sentence says what is wrong and
what to change. Nothing here starts or changes anything, but that the soft limit of open files is raised to the hard one.
"""

import errno
import resource
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from infra.local.errors import LocalStackError
from infra.settings import LocalSettings

NEEDED_DISK_BYTES: Final = 1024**3
"""Kafka's jars take 60 MB, an empty Kafka and PostgreSQL 80 MB; the rest is room for a first day of records."""
DESCRIPTORS_BESIDE_SLOTS: Final = 500
"""A worker's files beside one connection a call: Kafka, Postgres, logs, its health server, what is closing."""
ENOUGH_DESCRIPTORS: Final = 1_048_576
"""What the soft limit is raised to where the hard limit is "unlimited" (Linux lets nobody have more by default)."""
LOOPBACK: Final = "127.0.0.1"


class PreflightError(LocalStackError):
    """The stack cannot start here; the text is one sentence a reason, each saying what to change."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that a part is going to listen on, and the setting that moves it."""

    part: str
    setting: str
    address: str
    port: int


def listeners(settings: LocalSettings, *, workers: int) -> tuple[Listener, ...]:
    """List the ports of the stack, in the order of its parts; none for a Kafka or PostgreSQL that is used, not started."""
    found: list[Listener] = []
    if settings.kafka_bootstrap_servers is None:
        found.append(Listener("Kafka", "KAFKA_PORT", LOOPBACK, settings.kafka_port))
        found.append(Listener("Kafka's controller", "KAFKA_CONTROLLER_PORT", LOOPBACK, settings.kafka_controller_port))
    if settings.database_url is None:
        found.append(Listener("PostgreSQL", "POSTGRES_PORT", LOOPBACK, settings.postgres_port))
    found.append(Listener("the mock API", "MOCK_API_PORT", settings.bind_address, settings.mock_api_port))
    found.append(Listener("the API", "API_PORT", settings.bind_address, settings.api_port))
    found.extend(
        Listener(f"worker {n}", "WORKER_PORT", settings.bind_address, settings.worker_port + n)
        for n in range(1, workers + 1)
    )
    return tuple(found)


def clashes(wanted: Iterable[Listener]) -> list[str]:
    """Say which parts were given one and the same port."""
    first: dict[int, Listener] = {}
    sentences = []
    for listener in wanted:
        other = first.setdefault(listener.port, listener)
        if other is not listener:
            sentences.append(
                f"Port {listener.port} is given to {other.part} ({other.setting}) and to {listener.part} "
                f"({listener.setting}): change one of the two."
            )
    return sentences


def cannot_listen(listener: Listener, reason: OSError, holder: str | None) -> str:
    """Say why a part cannot have its port: by whom it is taken, if that is known, and which setting moves the part away."""
    if reason.errno == errno.EADDRINUSE:
        by = f" by {holder}" if holder else ""
        return (
            f"Port {listener.port} of {listener.part} is in use{by}: "
            f"stop that, or set {listener.setting} to a free port (in the environment or in ./.env)."
        )
    part = listener.part[0].upper() + listener.part[1:]
    return (
        f"{part} cannot listen on {listener.address} port {listener.port} ({reason.strerror}): "
        f"change {listener.setting} or BIND_ADDRESS (in the environment or in ./.env)."
    )


def disk_too_full(free_bytes: int, folder: Path) -> str | None:
    """Say that the disk is too full, or nothing."""
    if free_bytes >= NEEDED_DISK_BYTES:
        return None
    free, needed = free_bytes // 1024**2, NEEDED_DISK_BYTES // 1024**2
    return f"Only {free:,} MiB are free on the disk of {folder} and the stack needs {needed:,}: make room there."


def too_few_descriptors(limit: int, *, concurrency: int, batch_size: int) -> str | None:
    """Say that a worker cannot open one connection a call, with the two ways out, or nothing.

    `limit` is the soft limit of open files after it was raised as far as the hard one allows.
    """
    slots = concurrency * batch_size
    needed = slots + DESCRIPTORS_BESIDE_SLOTS
    if needed <= limit:
        return None
    room = limit - DESCRIPTORS_BESIDE_SLOTS
    if room >= batch_size:
        remedy = f"set WORKER_CONCURRENCY={room // batch_size}"
    elif room >= 1:
        remedy = f"set WORKER_CONCURRENCY=1 and QUEUE_BATCH_SIZE={room}"
    else:
        remedy = "lower WORKER_CONCURRENCY as well"
    way_out = f"or {remedy}" if room >= 1 else f"and {remedy}"
    return (
        f"Only {limit:,} files may be open at once and a worker needs {needed:,} (WORKER_CONCURRENCY {concurrency} x "
        f"QUEUE_BATCH_SIZE {batch_size} + {DESCRIPTORS_BESIDE_SLOTS}): raise the hard limit (ulimit -Hn {needed}) {way_out}."
    )


def check(settings: LocalSettings, *, workers: int, folder: Path) -> None:
    """Look at the machine, and raise the soft limit of open files to the hard one.

    Raises:
        PreflightError: something must change first; every reason is in the text, one a line.

    """
    wanted = listeners(settings, workers=workers)
    reasons = clashes(wanted)
    refused = [(listener, reason) for listener in wanted if (reason := refusal(listener))]
    reasons += [cannot_listen(listener, reason, holder_of(listener.port)) for listener, reason in refused]
    reasons += filter(
        None,
        [
            disk_too_full(shutil.disk_usage(folder).free, folder),
            too_few_descriptors(
                raise_descriptor_limit(), concurrency=settings.worker_concurrency, batch_size=settings.queue_batch_size
            ),
        ],
    )
    if reasons:
        raise PreflightError("\n".join(reasons))


def refusal(listener: Listener) -> OSError | None:
    """Try the port as the part will, and return what the system says; waiting out old connections (TIME_WAIT) is free."""
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((listener.address, listener.port))
        except OSError as error:
            return error
    return None


def holder_of(port: int) -> str | None:
    """Name the process that listens on a port, as far as this user may see it."""
    try:
        pids = {
            c.pid
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port
        }
        names = [f"{psutil.Process(pid).name()} (process {pid})" for pid in sorted(pid for pid in pids if pid)]
    except psutil.Error:
        return None
    return ", ".join(names) or None


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children; the limit that holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= target:
        return ENOUGH_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):  # macOS allows less than it says
        return soft
    return target
