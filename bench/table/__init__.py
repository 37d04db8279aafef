"""The rows of the table, by name; `make bench ONLY=name,name` runs some of them. Each file says what its rows hold us to."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from bench.harness.bench import Bench, Result
from bench.table import (
    batch,
    cpu,
    failures,
    headline,
    in_flight,
    memory,
    peers,
    persist,
    poison,
    rebalance,
    redrive,
    retry,
    sweep,
)

Row = Callable[[Bench], Coroutine[Any, Any, Sequence[Result]]]

ROWS: Mapping[str, Row] = {
    "in-flight": in_flight.run,
    "cpu": cpu.run,
    "engine": cpu.run_engine,
    "peers": peers.run,
    "batch": batch.run,
    "headline": headline.run,
    "persist": persist.run,
    "failures": failures.run,
    "poison": poison.run,
    "retry": retry.run,
    "redrive": redrive.run,
    "rebalance": rebalance.run,
    "sweep": sweep.run,
    "memory": memory.run,
}
