"""Fuzz what reads foreign bytes: `python -m bench.fuzz --minutes 10`.

Whatever a record holds, its value is a token or a MalformedValueError, its headers read as text, and the intake makes a
Record of it whose dead letter can be written: nothing else may be raised (bench/fuzz_target.py). Where atheris can be
imported, the search is guided by coverage; it is not among the locked packages, so `pip install --target FOLDER atheris` and
PYTHONPATH=FOLDER bring it in. Elsewhere Hypothesis makes the bytes. A finding ends the run: exit code 1 and the bytes.
"""

import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SECONDS_PER_MINUTE = 60
EXAMPLES = 20_000
"""Hypothesis' own run; another begins while there is time, with other bytes."""


def fuzz(minutes: Annotated[float, typer.Option(help="How long to try.")] = 10.0) -> None:
    """Try to make the readers of records raise what they must not."""
    try:
        engine: Any = importlib.import_module("atheris")
    except ImportError:
        engine = None
    typer.echo(f"fuzzing for {minutes:g} minutes, {'atheris' if engine else 'Hypothesis'} makes the bytes")
    with engine.instrument_imports(include=["topics", "consumers"]) if engine else nullcontext():
        target = importlib.import_module("bench.fuzz_target")
    run = _by_coverage if engine else _by_hypothesis
    run(engine, target, minutes * SECONDS_PER_MINUTE)


def _by_coverage(atheris: Any, target: Any, seconds: float) -> None:
    """Run libFuzzer, which prints its own figures and ends the process."""
    with tempfile.TemporaryDirectory(prefix="tokenflow-fuzz-") as folder:
        for number, seed in enumerate(target.seeds()):
            (Path(folder) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds:.0f}", "-print_final_stats=1", "-max_len=4096", f"-artifact_prefix={folder}/"]
        atheris.Setup([sys.argv[0], *limits, folder], target.try_one)
        atheris.Fuzz()


def _by_hypothesis(_: Any, target: Any, seconds: float) -> None:
    tried = 0

    def try_one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        target.try_one(data)

    end = time.monotonic() + seconds
    known = list(target.seeds())
    while time.monotonic() < end:
        _round(try_one, known)()
    typer.echo(f"{tried} executions, no finding")


def _round(try_one: Callable[[bytes], None], known: list[bytes]) -> Callable[[], None]:
    spliced = st.builds(
        lambda seed, at, more: seed[:at] + more + seed[at:], st.sampled_from(known), st.integers(0, 60), st.binary()
    )
    made = given(st.binary(max_size=2_000) | spliced)(try_one)
    return settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )(made)


if __name__ == "__main__":
    typer.run(fuzz)
