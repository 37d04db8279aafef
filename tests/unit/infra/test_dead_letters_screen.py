import uuid
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from consumers.engine.record import ErrorKind
from consumers.store.rows import encode_headers
from infra.cli.console import printable
from infra.cli.dead_letters import SHOWN_BYTES, content, hex_dump, letter_table, letter_text
from producer_api.redrive.copies import decode_headers
from producer_api.redrive.letters import DeadLetter, Original

MOMENT = datetime(2026, 11, 24, 9, 30, 5, tzinfo=UTC)


def letter(**changes: Any) -> DeadLetter:
    """Make a dead letter like a stored one."""
    fields: dict[str, Any] = {
        "record_id": uuid.UUID("0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"),
        "token": "1234",
        "job_id": None,
        "redrive_count": 0,
        "attempt": 1,
        "error_kind": "transient",
        "error_message": "HTTP 500",
        "source_topic": "tokens",
        "source_partition": 3,
        "source_offset": 17,
        "source_timestamp": MOMENT,
        "dead_lettered_at": MOMENT,
    }
    return DeadLetter(**{**fields, **changes})


def printed(*letters: DeadLetter) -> list[str]:
    """Print the table as it is printed into a file."""
    console = Console(width=80)
    with console.capture() as capture:
        console.print(letter_table(letters))
    return capture.get().splitlines()


def test_the_table_fits_into_80_columns_whatever_was_sent() -> None:
    """The longest token, kind, message and attempt; nothing that moves a cursor, and the whole record id."""
    worst = max(ErrorKind, key=len)
    wild = letter(token="\u4e16" * 256, error_kind=worst, error_message="a\x1b[2J\r\n\u202e" * 99, attempt=123)
    lines = printed(wild, letter(token=None), letter())
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    assert text.count(str(wild.record_id)) == 3
    assert f"{worst} #123" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_one_dead_letter_is_written_out_with_everything() -> None:
    """Text where bytes are UTF-8, hex where they are not, null where there was nothing."""
    headers = [("origin", b"\xff\x00"), ("caf\u00e9", "\u00fc".encode()), ("origin", None)]
    lines = letter_text(letter(), Original(b"k", b'{"a":\n\x1b}', headers)).splitlines()
    assert "  origin: 0xff00" in lines
    assert "  caf\u00e9: \u00fc" in lines
    assert "  origin: null" in lines
    assert lines[-3:] == ["payload     8 bytes", '{"a":', "\\x1b}"]
    assert "came from   tokens[3]@17, appended 2026-11-24 09:30:05 UTC" in lines
    assert "key         k" in lines


def test_a_value_that_is_no_text_is_a_hex_dump() -> None:
    """As `hexdump -C` writes it; null says null."""
    dump = letter_text(letter(), Original(None, b"AB\xff" + bytes(14), [])).splitlines()[-2:]
    assert dump[0] == "00000000  41 42 ff 00 00 00 00 00 00 00 00 00 00 00 00 00  |AB..............|"
    assert dump[1].startswith("00000010  00 ")
    assert dump[1].endswith("|.|")
    assert letter_text(letter(), Original(None, None, [])).endswith("payload     null")


def test_a_large_value_is_cut_and_says_so() -> None:
    """A screen is no place for a MiB; a character in the middle of the cut does no harm."""
    text = letter_text(letter(), Original(None, b"x" + "\u00e9".encode() * SHOWN_BYTES, []))
    assert f"payload     {2 * SHOWN_BYTES + 1} bytes; the first {SHOWN_BYTES} follow, --raw writes all" in text
    assert "\u00e9" in text
    assert len(text) < 2 * SHOWN_BYTES


@given(st.binary(max_size=100))
def test_no_byte_of_a_record_reaches_the_terminal_as_it_is(data: bytes) -> None:
    """Total over bytes, and every character of it prints."""
    assert content(data).isprintable()
    assert all(row.isprintable() for row in hex_dump(data))
    assert printable(data.decode("latin-1")).isprintable()


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.binary())))
def test_headers_are_read_as_the_worker_kept_them(headers: list[tuple[str, bytes | None]]) -> None:
    """A round trip over consumers/store: order, repeats, nulls and empty values."""
    assert decode_headers(encode_headers(headers)) == headers
