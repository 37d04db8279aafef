"""Gates on a screen. Pure."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from infra.cli.console import moment, printable
from producer_api.gate_orders import ClosedGate, Done

FACTS_WIDTH: Final = 26
"""`since 2026-11-25 09:30:06` has 25 characters."""


def gate_table(closed: Sequence[ClosedGate]) -> Table:
    """Lay closed gates out, three lines each; fits into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("gate (provider)\nwhen (UTC)", no_wrap=True, overflow="ellipsis", width=FACTS_WIDTH)
    table.add_column("why\nwho, and where", no_wrap=True, overflow="ellipsis", ratio=1)
    for gate in closed:
        facts = (f"{gate.gate} ({printable(gate.provider)})", f"since {moment(gate.since)}", _until(gate))
        by = "closed by itself" if gate.who is None else f"closed by {printable(gate.who)}"
        table.add_row(Text("\n".join(facts)), Text("\n".join((printable(gate.why), by, _workers(gate)))))
    return table


def done_text(done: Done, *, asked: str | None) -> str:
    """Say what became of an order; `asked` is the gate that was named, None = all of them."""
    if not done.gates:
        what = "every gate" if asked is None else f"gate {asked}"
        return f"{what} of {done.provider} is open already"
    gates = f"gate {' and gate '.join(done.gates)} of {done.provider}"
    state = "closed" if done.action == "close" else "open"
    if done.waiting:
        return (
            f"{gates}: {done.action} was ordered, and {len(done.waiting)} of {len(done.waiting) + len(done.applied)} live "
            f"workers have not carried it out yet: {', '.join(done.waiting)}"
        )
    if not done.applied:
        return f"{gates}: {done.action} was ordered, and no worker is live: those that start carry it out"
    return f"{gates}: {state} in {len(done.applied)} live worker{'' if len(done.applied) == 1 else 's'}"


def _until(gate: ClosedGate) -> str:
    return "until it is opened" if gate.until is None else f"until {moment(gate.until)}"


def _workers(gate: ClosedGate) -> str:
    if not gate.workers:
        return "no live worker: those that start close it"
    return f"{len(gate.workers)} worker{'' if len(gate.workers) == 1 else 's'}: {printable(', '.join(gate.workers))}"
