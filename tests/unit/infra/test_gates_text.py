"""Gates on a screen: what is closed since when and why, and what became of an order."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra.cli.console import WIDTH
from infra.cli.gates import app
from infra.cli.gates_text import done_text, gate_table
from producer_api.gate_orders import ClosedGate, Done, storable

AT = datetime(2026, 11, 25, 9, 30, 6, tzinfo=UTC)


def _printed(*closed: ClosedGate) -> str:
    console = Console(width=WIDTH)
    with console.capture() as capture:
        console.print(gate_table(closed))
    return capture.get()


def test_a_closed_gate_is_told_in_eighty_columns() -> None:
    """Who, why, where, since, until; what is too long is cut, and no byte of a provider moves the cursor."""
    workers = tuple(f"worker-{number}.example.net:8201" for number in range(5))
    text = _printed(
        ClosedGate("default", "misconfigured", workers, "HTTP 401 " + "x" * 200, None, AT, None),
        ClosedGate("default", "operator", (), "\x1b[2Jnight", "olga", AT, datetime(2026, 11, 25, 10, 0, 0, tzinfo=UTC)),
    )
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    for part in (
        "misconfigured (default)", "since 2026-11-25 09:30:06", "until it is opened", "closed by itself",
        "5 workers: worker-0.example.net:8201", "until 2026-11-25 10:00:00", "closed by olga",
        "no live worker: those that start close it", "\\x1b[2Jnight",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(
    ("done", "asked", "text"),
    [
        (Done("open", "default", ()), None, "every gate of default is open already"),
        (Done("open", "default", ()), "breaker", "gate breaker of default is open already"),
        (
            Done("open", "default", ("breaker", "operator"), ("a:1",)),
            None,
            "gate breaker and gate operator of default: open in 1 live worker",
        ),
        (
            Done("close", "default", ("operator",), ("a:1", "b:1")),
            "operator",
            "gate operator of default: closed in 2 live workers",
        ),
        (
            Done("close", "default", ("operator",)),
            "operator",
            "gate operator of default: close was ordered, and no worker is live: those that start carry it out",
        ),
        (
            Done("close", "default", ("operator",), ("a:1",), ("b:1",)),
            "operator",
            "gate operator of default: close was ordered, and 1 of 2 live workers have not carried it out yet: b:1",
        ),
    ],
)
def test_what_became_of_an_order_is_one_sentence(done: Done, asked: str | None, text: str) -> None:
    """Carried out, by how many; or not, and why."""
    assert done_text(done, asked=asked) == text


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\x1b[2J", "line\nline"])
def test_any_words_can_be_stored_and_shown(text: str) -> None:
    """What PostgreSQL or a terminal would not take becomes an escape."""
    assert storable(text).isprintable()
    storable(text).encode()
    assert storable("caf\u00e9 \u4f60") == "caf\u00e9 \u4f60"


@pytest.mark.parametrize(
    "arguments",
    [
        ["open", "front-door"],
        ["close"],
        ["close", "--why", " "],
        ["close", "--why", "x" * 501],
        ["open", "--why", "x" * 501],
    ],
)
def test_an_order_that_is_none_asks_no_database(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A gate that is none, a gate closed without a reason: exit code 2, and what would be right."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Usage" in result.output
