"""Nasty records: what foreign producers send by accident, by habit or on purpose, each with what has to become of it.

A case says which token its record names, or None where the record is malformed. Values are bytes as they lie in the topic.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MIB: Final = 1_048_576
ROOM: Final = 300
"""Of the topic's limit, for what a batch adds to the value of a record."""


@dataclass(frozen=True, slots=True)
class Case:
    """One record; `token` None means malformed. `whole`: its dead letter fits into the DLQ topic with its value."""

    name: str
    value: bytes | None
    token: str | None = None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    whole: bool = True

    @property
    def is_line(self) -> bool:
        """Whether kafka-console-producer sends just this when it reads the value as one line (it reads UTF-8)."""
        if self.value is None or self.key is not None or self.headers or len(self.value) > MIB // 16:
            return False
        try:
            text = self.value.decode()
        except UnicodeDecodeError:
            return False
        return "\n" not in text and "\r" not in text


TEXTS: Final[Mapping[str, tuple[bytes, str]]] = {
    "digits": (b"1234", "1234"),
    "leading zeros": (b"007", "007"),
    "an exponent": (b"1e3", "1e3"),
    "the word null": (b"null", "null"),
    "a negative float": (b"-0.50", "-0.50"),
    "a line end of Windows": (b"12\r\n", "12"),
    "blanks around": (b" \t\v\f 34 \n", "34"),
    "a blank inside": (b"two words", "two words"),
    "an accent": ("caf\u00e9".encode(), "caf\u00e9"),
    "the same accent, combining": ("cafe\u0301".encode(), "cafe\u0301"),
    "a stack of combining marks": (b"z" + "\u0335".encode() * 100, "z" + "\u0335" * 100),
    "right to left": ("\u05d0\u05d1\u05d2 \u0627\u0628".encode(), "\u05d0\u05d1\u05d2 \u0627\u0628"),
    "an emoji": ("\U0001f600".encode(), "\U0001f600"),
    "256 characters": (b"x" * 256, "x" * 256),
    "256 characters of four bytes": ("\U0001f680".encode() * 256, "\U0001f680" * 256),
    "a path": (b"a/../b", "a/../b"),
    "dots": (b"..", ".."),
    "one dot": (b".", "."),
    "a query and a fragment": (b"a?b=c&d#e", "a?b=c&d#e"),
    "percent signs": (b"%2F%", "%2F%"),
    "a template": (b"x{token}", "x{token}"),
    "SQL": (b"'; DROP TABLE outcomes; --", "'; DROP TABLE outcomes; --"),
    "a comma": (b"a,b", "a,b"),
    "a JSON string": (b'"56"', "56"),
    "a JSON string with blanks in it": (b'" 56 "', " 56 "),
    "a JSON string with escapes": (b'"caf\\u00e9 \\ud83d\\ude00 \\"\\\\"', 'caf\u00e9 \U0001f600 "\\'),
    "an object": (b'{"token":"78"}', "78"),
    "an object with a number": (b' {"token": 78 }', "78"),
    "an object with more": (b'{"country":"DE","token":"78","deep":{"a":[1,2.50,null]}}', "78"),
    "a number of 40 digits": (b'{"token":' + b"9" * 40 + b"}", "9" * 40),
    "a number beyond 64 bits beside": (b'{"token":"big","n":123456789012345678901234567890}', "big"),
    "a float beside": (b'{"token":"float","n":1e999}', "float"),
    "a name that comes twice": (b'{"token":"first","token":"last"}', "last"),
    "an escaped name": (b'{"tok\\u0065n":"escaped"}', "escaped"),
    "a name with NUL beside": (b'{"token":"nul","\\u0000":"\\u0000"}', "nul"),
    "deep JSON beside": (b'{"token":"deep","x":' + b"[" * 500 + b"]" * 500 + b"}", "deep"),
}
MALFORMED: Final[Mapping[str, bytes | None]] = {
    "null": None,
    "empty": b"",
    "blanks only": b" \t\r\n",
    "an empty string": b'""',
    "an empty token": b'{"token":""}',
    "a byte order mark": b"\xef\xbb\xbf1234",
    "a byte order mark before JSON": b'\xef\xbb\xbf{"token":"1"}',
    "UTF-16": "1234".encode("utf-16"),
    "Latin-1": "caf\u00e9".encode("latin-1"),
    "a lone surrogate in bytes": b"\xed\xa0\x80",
    "a lone surrogate escaped": b'{"token":"\\ud800"}',
    "a lone surrogate in a string": b'"a\\udfff"',
    "NUL": b"a\x00b",
    "NUL escaped": b'{"token":"a\\u0000b"}',
    "only NUL": bytes(8),
    "a control character": b"a\x1b[2Jb",
    "a tab inside": b"a\tb",
    "two lines": b"1\n2",
    "257 characters": b"x" * 257,
    "257 digits": b'{"token":' + b"1" * 257 + b"}",
    "an override of direction": "\u202e1234".encode(),
    "a zero width joiner": "\U0001f468\u200d\U0001f469".encode(),
    "a no-break space": b"\xc2\xa01234",
    "a list": b'["1234"]',
    "no token": b'{"id":"1234"}',
    "a token that is null": b'{"token":null}',
    "a token that is true": b'{"token":true}',
    "a token that is a float": b'{"token":12.0}',
    "a token that is an exponent": b'{"token":1e3}',
    "a token that is an object": b'{"token":{"token":"1"}}',
    "a number with leading zeros": b'{"token":007}',
    "not a number": b'{"token":NaN}',
    "JSON cut off": b'{"token":"1234',
    "JSON with a comma too many": b'{"token":"1",}',
    "two objects": b'{"token":"1"}{"token":"2"}',
    "an opening brace": b"{",
    "a quote": b'"',
    "JSON deeper than a stack": b'{"token":"1","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "Avro with Confluent's header": b"\x00\x00\x00\x00\x01\x08\x31\x32\x33\x34",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
}
FOREIGN_ID: Final = b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"
OUTSIDE: Final = tuple(
    (name, b"999")
    for name in ("attempt", "error-kind", "error-message", "source-topic", "source-partition", "source-offset", "not-before")
)
"""Headers that mean nothing when they come from outside."""


def corpus() -> tuple[Case, ...]:
    """Every case, each name once."""
    plain = [Case(name, value, token) for name, (value, token) in TEXTS.items()]
    malformed = [Case(name, value) for name, value in MALFORMED.items()]
    return (*plain, *malformed, *_with_keys(), *_with_headers(), *_large())


def lines() -> tuple[Case, ...]:
    """Return what a file of lines can hold."""
    return tuple(case for case in corpus() if case.is_line)


def _with_keys() -> Iterator[Case]:
    yield Case("a key that is no text", b"k1", "k1", key=b"\xff\x00")
    yield Case("an empty key", b"k2", "k2", key=b"")
    yield Case("a tombstone", None, key=b"k3")
    yield Case("a key on malformed bytes", b"[", key=b"\x00\xff")


def _with_headers() -> Iterator[Case]:
    binary: tuple[tuple[str, bytes | None], ...] = (
        ("origin", b"\xff\x00\xfe"),
        ("origin", None),
        ("", b""),
        ("origin", b"2"),
    )
    many = tuple((f"h{number}", str(number).encode()) for number in range(10_000))
    kinds: dict[str, tuple[tuple[str, bytes | None], ...]] = {
        "headers that are no text, null, nameless, repeated": binary,
        "10,000 headers": many,
        "headers that only we may set": OUTSIDE,
        "Connect's headers from outside": (("__connect.errors.topic", b"elsewhere"), ("__connect.errors.offset", b"1")),
        "a record-id that is none": (("record-id", b"17"),),
        "a record-id that is no text": (("record-id", b"\xff"), ("job-id", b"\xff"), ("redrive-count", b"\xff")),
        "a job-id that is none": (("job-id", b"mine"),),
        "a redrive-count out of the air": (("redrive-count", b"999999999"),),
        "a redrive-count that is believable": (("redrive-count", b"3"),),
        "a redrive-count below zero": (("redrive-count", b"-1"),),
        "a traceparent": (("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),),
        "a name of 30,000 characters": (("n" * 30_000, b"v"), ("\U0001f600", b"smile")),
    }
    for number, (name, headers) in enumerate(kinds.items()):
        yield Case(name, f"h-{number}".encode(), f"h-{number}", headers=headers)
        yield Case(f"{name}, on malformed bytes", b"[", headers=headers)
    yield Case("a record-id of its own", b"own-id", "own-id", headers=(("record-id", FOREIGN_ID),))
    yield Case("the same record-id on malformed bytes", b"[]", headers=(("record-id", FOREIGN_ID),))


def _large() -> Iterator[Case]:
    noise = random.Random(1).randbytes(MIB - ROOM)
    yield Case("1 MiB of noise", noise)
    yield Case("1 MiB of noise under a key", noise[:-ROOM], key=b"k")
    yield Case("1 MiB of text", b"x" * (MIB - ROOM))
    yield Case("1 MiB beside a token", b'{"token":"large","x":"' + b"y" * (MIB - ROOM) + b'"}', "large")
    yield Case("2 MB that compress well, beside a token", b'{"token":"huge","x":"' + b"y" * 2_000_000 + b'"}', "huge")
    yield Case("2 MB that compress well", b"[" + b" " * 2_000_000 + b"]", whole=False)
    yield Case("2 MB of blanks", b" " * 2_000_000, whole=False)
    padding: tuple[tuple[str, bytes | None], ...] = tuple((f"p{number}", b"z" * 20_000) for number in range(100))
    yield Case("2 MB of headers", b"padded", "padded", headers=padding)
    yield Case("2 MB of headers on null", None, headers=padding)  # a batch as it is, not measured by the client
    yield Case("2 MB of headers on a tombstone", None, key=b"k", headers=padding, whole=False)
    yield Case("a key of 2 MB", b"large-key", "large-key", key=b"k" * 2_000_000)
    yield Case("a key of 2 MB on malformed bytes", b"[", key=b"k" * 2_000_000, whole=False)
    yield Case("a traceparent of 2 MB", b"[", headers=(("traceparent", b"0" * 2_000_000),), whole=False)
