"""`tokenflow work`: run one worker until it is told to stop."""

import asyncio
import gc
import logging
import os
import resource
from collections.abc import Callable
from pathlib import Path

import typer
import uvloop

from consumers.errors import StoreUnavailableError
from consumers.health import ListenError
from consumers.settings import WorkerSettings
from consumers.store.postgres import WrongGroupError
from consumers.worker import StartError, Worker
from topics.connection import KafkaConnectionError, calm_client_logs
from topics.provision import ProvisionError
from topics.settings import SettingsError, load_settings

log = logging.getLogger(__name__)

GC_THRESHOLDS = (50_000, 20, 1_000)
"""The default collector halves the throughput at 10,000 calls in flight and pauses for 0.5 s; these reach 0.986 of the
ideal (facts: engine, 2a). Never disabled: a rebalance leaves cycles of 256 KiB a partition behind."""
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
EXIT_FAILED = 1
END_SECONDS = 5.0
"""For tasks to unwind once the worker is done."""
SPARE_FILES = 100
"""Open files beside the calls: Kafka, Postgres, health, logs, shared libraries."""


def work() -> None:
    """Run one worker: a member of the consumer group that calls the API and stores the answers."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    logging.getLogger("faststream").setLevel(logging.ERROR)
    calm_client_logs()
    try:
        settings = load_settings(WorkerSettings)
        raise_file_limit(settings)
        if PORT_RANGE.exists() and (warning := too_few_ports(settings, PORT_RANGE.read_text())):
            log.warning("%s", warning)
        _tune_collector()
        code = uvloop.run(run_to_the_end(lambda: Worker(settings)))
    except (SettingsError, StartError, ListenError, WrongGroupError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except (KafkaConnectionError, ProvisionError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except StoreUnavailableError as error:
        typer.echo(f"DATABASE_URL cannot be used ({error}): start PostgreSQL and run `tokenflow migrate`.", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(code)


async def run_to_the_end(make_worker: Callable[[], Worker]) -> int:
    """Run a worker, and see that its process ends: no task that ignores its cancellation may keep it.

    1. A call goes on despite its cancellation. 2. The drain gives it up, the worker is done. 3. The loop, before it closes,
    waits for every task, without a deadline; so the process would be there for ever, without partitions and not ready.
    """
    code = EXIT_FAILED
    try:
        code = await make_worker().run()
    finally:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left and (await asyncio.wait(left, timeout=END_SECONDS))[1]:
            log.critical("a task ignores its cancellation: the process ends without it")
            logging.shutdown()
            os._exit(code or EXIT_FAILED)
    return code


def raise_file_limit(settings: WorkerSettings) -> None:
    """Raise the soft limit of open files to the hard one: a call is a connection is a file, and some are closing.

    Where that is "unlimited", to twice what is needed: macOS says so and lets nobody have it.

    Raises:
        SettingsError: the hard limit is lower than that.

    """
    needed = settings.connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY  # -1 in Python
    if hard != unlimited and hard < needed:
        raise SettingsError(
            f"WORKER_CONCURRENCY x QUEUE_BATCH_SIZE = {settings.slots} calls need {needed} open files, and the hard limit "
            f"is {hard}: lower WORKER_CONCURRENCY, or raise the limit (ulimit -Hn)."
        )
    target = 2 * needed if hard == unlimited else hard
    if soft != unlimited and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def too_few_ports(settings: WorkerSettings, port_range: str) -> str | None:
    """Say that one address of the API cannot have so many connections from here, or nothing. Pure.

    `port_range`: first and last port, as Linux says (ip_local_port_range). No reason to refuse the start: an API may have
    several addresses.
    """
    first, last = map(int, port_range.split())
    ports = last - first + 1
    if settings.connections <= ports:
        return None
    return (
        f"WORKER_CONCURRENCY x QUEUE_BATCH_SIZE = {settings.slots} calls, and this machine opens at most {ports} "
        "connections to one address: unless the API has several, the calls beyond will fail. Lower WORKER_CONCURRENCY, use "
        "several machines, or widen net.ipv4.ip_local_port_range."
    )


def _tune_collector() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
