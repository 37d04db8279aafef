"""What the fuzz run holds against foreign bytes: the readers of values and headers, the intake, and what it leads to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from consumers.engine.intake import Intake, make_intake
from consumers.engine.record import DeadLettered, ErrorKind
from consumers.engine.window import PartitionWindow
from consumers.next_hop import dead_letter_headers
from consumers.store.rows import encode_headers
from topics.headers import OURS, RawHeaders, hop_headers, read_headers
from topics.record import MAX_TOKEN_CHARACTERS, MalformedValueError, decode_value

NAMES: Final = (*sorted(OURS), "__connect.errors.topic", "foreign", "")
MAX_HEADERS: Final = 8
INTAKES: Final = (make_intake(None), make_intake(re.compile("[0-9]+")))


class ContradictionError(Exception):
    """What was read contradicts itself: a finding."""


@dataclass(frozen=True, slots=True)
class Polled:
    """A record as aiokafka gives it."""

    key: bytes | None
    value: bytes | None
    headers: RawHeaders
    topic: str = "tokens"
    partition: int = 3
    offset: int = 17
    timestamp: int = 1_700_000_000_000
    timestamp_type: int = 1


def polled(data: bytes) -> Polled:
    """Cut bytes into a record: a byte of flags, headers of (name, length, bytes), and the rest is the value."""
    flags, rest = (data[0], data[1:]) if data else (0, b"")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(flags % MAX_HEADERS):
        if len(rest) < 2:  # noqa: PLR2004 - a name and a length
            break
        name, length, rest = rest[0], rest[1], rest[2:]
        content, rest = rest[:length], rest[length:]
        known = NAMES[name] if name < len(NAMES) else content[:4].decode(errors="replace")
        headers.append((known, None if length == 255 else content))  # noqa: PLR2004 - the last byte there is
    return Polled(rest[:2] if flags & 64 else None, None if flags & 128 else rest, tuple(headers))


def try_one(data: bytes) -> None:
    """Raise whatever a record made of these bytes raises, and ContradictionError where what comes out contradicts itself."""
    record = polled(data)
    read = read_headers(record.headers)
    hold(all(isinstance(text, str) for text in read.values()), read)
    hop = hop_headers(record.headers, {**read, "attempt": "2"})
    hold(("attempt", b"2") in hop, hop)
    token = None
    try:
        token = decode_value(record.value).token
        hold(1 <= len(token) <= MAX_TOKEN_CHARACTERS and token.isprintable(), token)
    except MalformedValueError as error:
        hold(bool(str(error)), error)
    for intake in INTAKES:
        _take_in(intake, record, token)


def _take_in(intake: Intake, record: Polled, token: str | None) -> None:
    taken = intake(record, PartitionWindow())
    hold(taken.token in {token, None}, taken)
    hold((taken.token is None) == (taken.complaint is not None), taken)
    hold(taken.value == record.value, taken)
    encode_headers(taken.headers)
    outcome = DeadLettered(ErrorKind.MALFORMED, taken.complaint or "none")
    for name, value in dead_letter_headers(taken, outcome, whole=True):
        name.encode()
        hold(value is None or isinstance(value, bytes), name)


def hold(promise: bool, what: object) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise ContradictionError unless the promise holds."""
    if not promise:
        raise ContradictionError(repr(what))


def seeds() -> Iterator[bytes]:
    """Yield inputs that reach every branch of the grammar, to start from."""
    values = (
        b"1234", b"", b' {"token": 1234, "a": [1e3, null]}', b'{"token":"a\\u0000\\ud83d"}', b'"caf\\u00e9"', b"[1]",
        b"\xef\xbb\xbf1", b'{"token":' + b"[" * 40, b"\xed\xa0\x80", b'{"tok\\u0065n":-0}',
    )  # fmt: skip
    for value in values:
        yield b"\x00" + value
        yield b"\x80" + value
    for number, name in enumerate(NAMES):
        text = b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e" if name.endswith("-id") else b"999999999"
        yield bytes([1, number, len(text)]) + text + b"1234"
