"""Dead letters on a screen. Pure.

What foreigners sent is never written to a terminal as it is: what does not print becomes an escape or a hex dump, so that
no byte of a record can move a cursor or set a title.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from infra.cli.console import moment, printable
from infra.set_aside.aside import Done
from producer_api.redrive.letters import DeadLetter, Original

FACTS_WIDTH: Final = 38
"""A record id has 36 characters; time, the longest kind and an attempt of three digits have 38."""
SHOWN_BYTES: Final = 4_096
DUMP_WIDTH: Final = 16
_STATES: Final = {
    "open": "open",
    "redriving": "redriving: about to be sent again",
    "redriven": "redriven: sent again, and no outcome yet",
}


def letter_table(letters: Sequence[DeadLetter]) -> Table:
    """Lay dead letters out, two lines each; fits into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("record\nwhen (UTC), kind, attempt", no_wrap=True, width=FACTS_WIDTH)
    table.add_column("token\nwhy", no_wrap=True, overflow="ellipsis", ratio=1)
    for letter in letters:
        about = f"{moment(letter.dead_lettered_at)} {letter.error_kind} #{letter.attempt}"
        if letter.state != "open":
            about = f"{moment(letter.dead_lettered_at)} {letter.state}"
        token = "-" if letter.token is None else printable(letter.token)
        table.add_row(Text(f"{letter.record_id}\n{about}"), Text(f"{token}\n{printable(letter.error_message)}"))
    return table


def letter_text(letter: DeadLetter, original: Original) -> str:
    """Write one dead letter out, everything that was kept of it."""
    source = f"{letter.source_topic}[{letter.source_partition}]@{letter.source_offset}, appended"
    fields = {
        "record": str(letter.record_id),
        "token": "-  (the value names none)" if letter.token is None else printable(letter.token),
        "kind": letter.error_kind,
        "why": printable(letter.error_message),
        "state": _STATES[letter.state],
        "attempt": f"{letter.attempt}, redriven {letter.redrive_count} times before",
        "job": str(letter.job_id or "-"),
        "dead since": f"{moment(letter.dead_lettered_at)} UTC",
        "came from": f"{printable(source)} {moment(letter.source_timestamp)} UTC",
        "key": "null" if original.key is None else content(original.key),
    }
    lines = [f"{name:<12}{text}" for name, text in fields.items()]
    lines += [f"headers     {len(original.headers)}", *(_header(name, value) for name, value in original.headers)]
    return "\n".join([*lines, *_payload(original.payload)])


def set_aside_text(done: Done) -> str:
    """Say what became of the record that was to be set aside, and what can still change it."""
    record = done.record
    name = (
        f"{record.coordinates} (record {record.record_id}, token {'-' if record.token is None else printable(record.token)})"
    )
    if done.written:
        return (
            f"{name} is set aside: `tokenflow dlq show {record.record_id}` shows it.\n"
            "No worker begins a call for it. One that runs now goes on, and its outcome will take this one's place."
        )
    return f"{name} is {done.outcome} already: nothing was changed."


def content(value: bytes) -> str:
    """Write bytes on one line: as text where they are UTF-8, else in hex."""
    try:
        return printable(value.decode())
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


def _header(name: str, value: bytes | None) -> str:
    return f"  {printable(name)}: {'null' if value is None else content(value)}"


def _payload(payload: bytes | None) -> Iterator[str]:
    if payload is None:
        yield "payload     null"
        return
    more = f"; the first {SHOWN_BYTES} follow, --raw writes all" if len(payload) > SHOWN_BYTES else ""
    yield f"payload     {len(payload)} bytes{more}"
    start = payload[:SHOWN_BYTES]
    try:
        text = start.decode(errors="strict" if not more else "ignore")
        payload.decode()
    except UnicodeDecodeError:
        yield from hex_dump(start)
    else:
        yield from (printable(line) for line in text.split("\n"))


def hex_dump(data: bytes) -> Iterator[str]:
    """Write bytes as `hexdump -C` does: offset, sixteen bytes in hex, the same as ASCII."""
    for offset in range(0, len(data), DUMP_WIDTH):
        row = data[offset : offset + DUMP_WIDTH]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)  # noqa: PLR2004 - what prints of ASCII
        yield f"{offset:08x}  {row.hex(' '):<{DUMP_WIDTH * 3}} |{shown}|"
