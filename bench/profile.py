"""Where a token's CPU goes: `python -m bench.profile --provider wire`. Needs py-spy (pip install py-spy).

One worker at 1,000 calls x 20 ms on a stack of its own, sampled for some seconds. A sample is put under the part whose code
is nearest to where it was taken; what has no Python frame of a part (uvloop, asyncpg and aiokafka's compiled code between
callbacks) under `event loop and sockets`. The shares are those of the worker's CPU, and add up to its us a token.
"""

import asyncio
import subprocess
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from bench.harness import subject
from bench.harness.bench import Bench
from bench.harness.stack import running_stack
from bench.harness.window import measure

PARTS: Final = (
    # a piece of a frame -> part; the first that is found from the leaf of a stack outward
    ("consumers/metrics.py", "metrics"),
    ("prometheus_client", "metrics"),
    ("consumers/engine/check.py", "done-set"),
    ("stored (consumers/store", "done-set"),
    ("consumers/engine/claims.py", "books"),
    ("consumers/engine/state.py", "books"),
    ("consumers/engine/window.py", "books"),
    ("consumers/engine/admission.py", "books"),
    ("consumers/engine/slot_time.py", "books"),
    ("consumers/engine/pause.py", "books"),
    ("consumers/store", "sink"),
    ("consumers/engine/sink.py", "sink"),
    ("consumers/engine/answers.py", "sink"),
    ("consumers/providers", "call"),
    ("aiohttp", "call"),
    ("yarl", "call"),
    ("multidict", "call"),
    ("pyreqwest", "call"),
    ("TimerProvider", "call"),
    ("PyreqwestProvider", "call"),
    ("consumers/engine/lanes.py", "task and lane"),
    ("consumers/engine/tasks.py", "task and lane"),
    ("consumers/engine/pump.py", "poll and decode"),
    ("consumers/engine/intake.py", "poll and decode"),
    ("topics/record.py", "poll and decode"),
    ("topics/headers.py", "poll and decode"),
    ("consumers/header_names.py", "poll and decode"),
    ("consumers/set_aside.py", "poll and decode"),
    ("consumers/source.py", "poll and decode"),
    ("aiokafka/consumer", "poll and decode"),
    ("aiokafka", "poll and decode"),
    ("consumers/engine/committer.py", "commit"),
    ("asyncpg", "sink"),
)
LOOP: Final = "event loop and sockets"
SAMPLES_A_SECOND: Final = 400
MOST_A_SECOND: Final = 40_000.0
LATENCY: Final = (0.02, 0.02)
FUNCTIONS: Final = 25


def main(
    provider: Annotated[str, typer.Option(help="aiohttp, wire, pyreqwest or timer.")] = "aiohttp",
    calls: Annotated[int, typer.Option(min=100, help="Calls in flight, a multiple of 100.")] = 1_000,
    *,
    native: Annotated[bool, typer.Option(help="See into compiled code too.")] = False,
) -> None:
    """Sample, and print the budget."""
    with tempfile.TemporaryDirectory(prefix="tokenflow-bench-") as folder:
        Path(folder).chmod(0o755)
        with running_stack(Path(folder)) as stack:
            us, stacks = asyncio.run(_sample(Bench(stack, quick=False), provider, calls, native=native))
    _show(us, stacks)


async def _sample(bench: Bench, provider: str, calls: int, *, native: bool) -> tuple[float, Counter[str]]:
    async with AsyncExitStack() as stack:
        times = bench.times(LATENCY[1])
        stage = await bench.staged(stack, LATENCY, times, MOST_A_SECOND)
        environment = subject.slots(calls)
        worker = stack.enter_context(subject.worker(stage, provider, str(LATENCY[0]), environment=environment))
        path = stage.folder / "stacks.txt"
        measuring = asyncio.create_task(measure(stage, [worker], times))
        await asyncio.sleep(2 * times.warm_up_seconds)
        command = ["py-spy", "record", "--pid", str(worker.process.pid), "--format", "raw", "--output", str(path)]
        command += ["--rate", str(SAMPLES_A_SECOND), "--duration", str(int(times.seconds / 2))]
        await asyncio.to_thread(subprocess.run, [*command, *(["--native"] if native else [])], check=True)
        window = await measuring
    return window.us, _read(path.read_text())


def _read(text: str) -> Counter[str]:
    stacks: Counter[str] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        stacks[frames] += int(count)
    return stacks


def part_of(stack: str) -> str:
    """Name the part that a stack (frames by semicolons, the leaf last) belongs to."""
    for frame in reversed(stack.split(";")):
        for piece, part in PARTS:
            if piece in frame:
                return part
    return LOOP


def _show(us: float, stacks: Counter[str]) -> None:
    total = stacks.total()
    parts: Counter[str] = Counter()
    leaves: Counter[str] = Counter()
    for stack, count in stacks.items():
        parts[part_of(stack)] += count
        leaves[stack.rpartition(";")[2]] += count
    table = Table("part", "share", f"us of {us:.1f}")
    for part, count in parts.most_common():
        table.add_row(part, f"{count / total:.1%}", f"{us * count / total:.1f}")
    for leaf, count in leaves.most_common(FUNCTIONS):
        table.add_row(f"  {leaf[:90]}", f"{count / total:.1%}", f"{us * count / total:.1f}")
    Console(width=150).print(table)


if __name__ == "__main__":
    typer.run(main)
