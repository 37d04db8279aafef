"""`python -m bench` (`make bench`): a stack of its own, every row of the table, each against its own limit.

`--only row,row` runs some; `--quick` shortens the windows and keeps nothing. See bench/table for the rows.
"""

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.harness import plots, report
from bench.harness.bench import Bench
from bench.harness.others import Others
from bench.harness.stack import running_stack
from bench.table import ROWS


def main(
    only: Annotated[str, typer.Option(help=f"Rows, by commas: {', '.join(ROWS)}.")] = "",
    note: Annotated[str, typer.Option(help="Kept beside the results: what else ran.")] = "",
    *,
    quick: Annotated[bool, typer.Option(help="Short windows; nothing is written.")] = False,
) -> None:
    """Measure, print, and keep."""
    names = [name.strip() for name in only.split(",") if name.strip()] or list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise typer.BadParameter(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else nobody would end what was started
    with tempfile.TemporaryDirectory(prefix="tokenflow-bench-") as folder:
        Path(folder).chmod(0o755)  # the database may run as another user
        with running_stack(Path(folder)) as stack:
            bench = Bench(stack, quick)
            for name in names:
                _run(bench, name, note)


def _run(bench: Bench, name: str, note: str) -> None:
    """Measure a row, and keep what it found at once."""
    others = Others()
    results = asyncio.run(ROWS[name](bench))
    used = f"Others used {others.cores:.2f} of {len(bench.stack.cores.all)} cores."
    report.show(results)
    Console().print(used)
    for title, picture in bench.pictures.items():
        if not bench.quick:
            plots.draw(title, picture)
    bench.pictures.clear()
    if not bench.quick:
        report.keep(name, results, note=f"{used} {note}")
        report.write_document(list(ROWS), plots.drawn())


if __name__ == "__main__":
    typer.run(main)
