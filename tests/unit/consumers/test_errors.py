"""One place decides what becomes of a record, and nothing that a call can raise is unknown to it."""

import asyncio
import errno
import inspect
import socket
import ssl
from collections.abc import Iterator

import aiohttp
import pytest
import yarl
from aiohttp import client_exceptions, http_exceptions
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from consumers import errors
from consumers.engine.record import DeadLettered, ErrorKind
from consumers.errors import MESSAGE_LIMIT, RecordError, clean_message, decide, kind_of

URL = yarl.URL("http://api.example/score/1")
ARGUMENTS = {
    "certificate_error": ssl.SSLCertVerificationError("self-signed"),
    "connection_key": ConnectionKey(
        host="api.example", port=80, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
    ),
    "expected": b"",
    "got": b"",
    "hdr": b"x",
    "history": (),
    "host": "api.example",
    "line": b"x",
    "message": "rubbish",
    "os_error": OSError(errno.ECONNREFUSED, "refused"),
    "path": "/a",
    "port": 80,
    "request_info": RequestInfo(URL, "GET", CIMultiDictProxy(CIMultiDict[str]()), URL),
    "url": URL,
}
UNAVAILABLE = (aiohttp.ClientConnectorError, aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)
OURS = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, aiohttp.WSMessageTypeError)
"""Raised for a URL that we made, and for WebSockets, which nobody uses: bugs of ours."""


def _leaves(root: type[RecordError]) -> Iterator[type[RecordError]]:
    for child in root.__subclasses__():
        yield child
        yield from _leaves(child)


def _client_exceptions() -> list[type[Exception]]:
    return sorted(
        {
            found
            for module in (client_exceptions, http_exceptions)
            for found in vars(module).values()
            if inspect.isclass(found) and issubclass(found, Exception) and found.__module__.startswith("aiohttp")
        },
        key=lambda found: found.__name__,
    )


def _make(kind: type[Exception]) -> Exception:
    """Build an exception of a class that wants arguments."""
    wanted = [
        name
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if name != "self" and parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return kind(*(ARGUMENTS[name] for name in wanted))


@pytest.mark.parametrize("kind", sorted(set(_leaves(RecordError)), key=str))
def test_every_record_error_has_its_kind_and_a_fate(kind: type[RecordError]) -> None:
    """Each leaf of the tree names its kind, and the text that it was raised with is what is stored."""
    assert kind_of(kind("why")) is kind.kind
    assert decide(kind("why"), attempt=1, max_retries=0) == DeadLettered(kind.kind, "why")
    assert kind.kind is not ErrorKind.UNEXPECTED


def test_every_kind_but_three_has_an_exception() -> None:
    """The tree covers the table: malformed and set aside come before a call, unexpected is everything else."""
    without = {ErrorKind.MALFORMED, ErrorKind.SET_ASIDE, ErrorKind.UNEXPECTED}
    assert {kind.kind for kind in _leaves(RecordError)} == set(ErrorKind) - without


def test_the_tree_of_the_module_names_every_class() -> None:
    """The docstring is the page that people read: no class is missing on it; a client's own ones are its business."""
    assert errors.__doc__ is not None
    names = [kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RecordError)]
    for name in [*names, "StoreUnavailableError"]:
        assert name in errors.__doc__


@pytest.mark.parametrize("kind", _client_exceptions(), ids=lambda kind: kind.__name__)
def test_no_exception_of_the_client_is_unexpected_by_omission(kind: type[Exception]) -> None:
    """Walks what aiohttp can raise: unreachable, broken on the way, or a bug of ours; a new class must be sorted here."""
    error = _make(kind)
    if issubclass(kind, OURS):
        expected = ErrorKind.UNEXPECTED
    else:
        expected = ErrorKind.UNAVAILABLE if issubclass(kind, UNAVAILABLE) else ErrorKind.TRANSIENT
    assert kind_of(error) is expected
    assert isinstance(decide(error, attempt=1, max_retries=0), DeadLettered)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), ErrorKind.TRANSIENT),
        (asyncio.IncompleteReadError(b"", 1), ErrorKind.TRANSIENT),
        (asyncio.LimitOverrunError("too long", 1), ErrorKind.TRANSIENT),
        (EOFError(), ErrorKind.TRANSIENT),
        (BrokenPipeError(), ErrorKind.TRANSIENT),
        (ConnectionResetError(), ErrorKind.TRANSIENT),
        (ConnectionAbortedError(), ErrorKind.TRANSIENT),
        (OSError(errno.EHOSTUNREACH, "no route"), ErrorKind.TRANSIENT),
        (ConnectionRefusedError(), ErrorKind.UNAVAILABLE),
        (socket.gaierror(socket.EAI_NONAME, "unknown name"), ErrorKind.UNAVAILABLE),
        (socket.herror(1, "unknown host"), ErrorKind.UNAVAILABLE),
        (ssl.SSLError(1, "wrong version number"), ErrorKind.UNAVAILABLE),
        (ssl.SSLCertVerificationError(1, "expired"), ErrorKind.UNAVAILABLE),
        (ssl.SSLEOFError(8, "EOF in violation of protocol"), ErrorKind.UNAVAILABLE),
        (RuntimeError("Session is closed"), ErrorKind.UNEXPECTED),
        (asyncio.InvalidStateError(), ErrorKind.UNEXPECTED),
        (KeyError("score"), ErrorKind.UNEXPECTED),
        (ExceptionGroup("two", [ValueError(), KeyError()]), ErrorKind.UNEXPECTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_errors_of_sockets_tls_and_streams_are_sorted_too(error: Exception, kind: ErrorKind) -> None:
    """What comes from below the client, or from a provider in Python; a bug stays a bug."""
    assert kind_of(error) is kind


def test_an_error_of_somebody_else_is_stored_with_its_class() -> None:
    """A bare TimeoutError has no text: its name is what a person reads in the dead letter."""
    assert decide(TimeoutError(), attempt=1, max_retries=0) == DeadLettered(
        ErrorKind.TRANSIENT, "TimeoutError: TimeoutError"
    )
    assert decide(KeyError("score"), attempt=1, max_retries=0) == DeadLettered(ErrorKind.UNEXPECTED, "KeyError: 'score'")


def test_a_message_can_always_be_stored() -> None:
    """NUL and lone surrogates are written out; a long text ends in dots."""
    assert clean_message("a\0b") == "a\\0b"
    assert clean_message("a\ud800b") == "a\\ud800b"
    assert clean_message("x" * (MESSAGE_LIMIT + 1)) == "x" * (MESSAGE_LIMIT - 3) + "..."
    assert clean_message("x" * MESSAGE_LIMIT) == "x" * MESSAGE_LIMIT


@given(st.text(st.characters(exclude_categories=()), max_size=700))
def test_any_message_is_storable_text_within_the_limit(text: str) -> None:
    """Whatever the text: UTF-8, no NUL, short; and what needs no change is not changed."""
    cleaned = clean_message(text)
    assert "\0" not in cleaned
    assert len(cleaned) <= MESSAGE_LIMIT
    encoded = cleaned.encode()
    if "\0" not in text and len(text) <= MESSAGE_LIMIT and encoded.decode() == text:
        assert cleaned == text
