"""What can go wrong with a record, and the one place that decides what becomes of it. Pure.

    RecordError                    fate of the record                             its offset
    |- RejectedError               dead letter at once: a retry cannot mend it    moves on, once the row is committed
    |- TransientError              retry topic; after MAX_RETRIES dead letter     moves on, once the row is committed
    |  '- ServerError              the same; ready again while the breaker is open        does not move while it is
    |- RateLimitedError            ready again, once the gate opens; the 10th in a row is transient       does not move
    |- UnavailableError            as ServerError
    |- MisconfiguredError          ready again, once the gate opens                       does not move
    '- UnstorableError             dead letter without the answer                 moves on, once the row is committed
    any other exception            a bug: logged with coordinates, as Transient   moves on, once the row is committed

    NotSentError                   given back, as if never called                 does not move
    StoreUnavailableError          none: the row is written when the database is back      does not move

`decide` is where the fates of the second column part ways.
"""

import asyncio
import socket
import ssl

import aiohttp
from aiohttp.http import HttpProcessingError

from consumers.engine.gates import Ending
from consumers.engine.record import DeadLettered, ErrorKind, Outcome, Retrying

MESSAGE_LIMIT = 500
"""Longest error message that is stored, in characters: enough to group by, short enough to list."""


class RecordError(Exception):
    """A call that did not give an answer; the text says why and is stored with the record."""

    kind: ErrorKind
    outage = False
    """Whether it says something about the provider rather than about the record."""


class RejectedError(RecordError):
    """The provider refuses this token: 3xx, 400, 403, 404, 422 and other 4xx."""

    kind = ErrorKind.REJECTED


class TransientError(RecordError):
    """It may succeed later: time-out, reset, 408, 425, 5xx, an answer that does not parse."""

    kind = ErrorKind.TRANSIENT


class ServerError(TransientError):
    """A 5xx."""

    outage = True


class RateLimitedError(RecordError):
    """429, or 503 with Retry-After; `retry_after_seconds` is None where the provider does not say how long."""

    kind = ErrorKind.RATE_LIMITED

    def __init__(self, text: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(RecordError):
    """The provider cannot be reached at all: connection refused, DNS, TLS."""

    kind = ErrorKind.UNAVAILABLE
    outage = True


class MisconfiguredError(RecordError):
    """401: our credentials are wrong, for every token alike."""

    kind = ErrorKind.MISCONFIGURED


class UnstorableError(RecordError):
    """Postgres refuses the data itself (SQLSTATE class 22, 23 or 54), not the moment."""

    kind = ErrorKind.UNSTORABLE


class RetryTooLargeError(Exception):
    """The retry topic does not take the copy for its size: the record becomes a dead letter."""


class NotSentError(Exception):
    """The call was withdrawn before it was sent: the record is given back, and nothing was spent."""


class StoreUnavailableError(Exception):
    """Postgres cannot be reached or is too slow; nothing is lost, the same write is tried again."""


def kind_of(error: Exception) -> ErrorKind:
    """Classify any exception that a call can raise; what is not known is UNEXPECTED, a bug of ours.

    Order matters: aiohttp's time-outs are both connection errors and TimeoutError, and a connection that was refused is
    told apart from one that broke (aiohttp 3.14, client_exceptions). A URL that cannot be called is ours: redirects are
    not followed. Raw errors of sockets, TLS and streams come from providers in Python, and from below aiohttp.
    """
    match error:
        case RecordError():
            return error.kind
        case aiohttp.ClientConnectorError() | aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return ErrorKind.UNAVAILABLE
        case ConnectionRefusedError() | socket.gaierror() | socket.herror() | ssl.SSLError():
            return ErrorKind.UNAVAILABLE
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return ErrorKind.UNEXPECTED
        case aiohttp.ClientError() | HttpProcessingError() | OSError() | EOFError() | asyncio.LimitOverrunError():
            return ErrorKind.TRANSIENT
        case _:
            return ErrorKind.UNEXPECTED


def ending_of(error: Exception) -> Ending:
    """Say what an error means for the gates. What did not come as an answer of the provider's is its outage."""
    match kind_of(error):
        case ErrorKind.UNAVAILABLE:
            return Ending.UNREACHABLE
        case ErrorKind.RATE_LIMITED:
            return Ending.RATE_LIMITED
        case ErrorKind.MISCONFIGURED:
            return Ending.MISCONFIGURED
        case ErrorKind.REJECTED:
            return Ending.REFUSED
        case ErrorKind.TRANSIENT if not isinstance(error, RecordError) or error.outage:
            return Ending.OUTAGE
        case _:
            return Ending.OTHER


RETRIED = frozenset({
    ErrorKind.TRANSIENT, ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.MISCONFIGURED, ErrorKind.UNEXPECTED,
})  # fmt: skip
"""Kinds of error that a later attempt may not meet."""


def decide(error: Exception, *, attempt: int, max_retries: int) -> Outcome:
    """Decide what becomes of a record whose `attempt` (from 1) ended with `error`: total, the only such place."""
    kind = kind_of(error)
    text = text_of(error)
    message = clean_message(text if isinstance(error, RecordError) else f"{type(error).__name__}: {text}")
    return Retrying(kind, message) if kind in RETRIED and attempt <= max_retries else DeadLettered(kind, message)


def text_of(error: Exception) -> str:
    """Say what an error says of itself, else its name: anybody's class may have no text, or a bug where it makes one."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 # lint: allow broad-except because it is somebody else's code, and only words are lost
        return type(error).__name__


def clean_message(text: str) -> str:
    """Make any text storable: at most MESSAGE_LIMIT characters, no NUL, no lone surrogate."""
    printable = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return printable if len(printable) <= MESSAGE_LIMIT else printable[: MESSAGE_LIMIT - 3] + "..."
