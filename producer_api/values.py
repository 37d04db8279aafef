"""What a POST becomes on the topic: value, key and headers of a record. Pure.

The grammar is the records' own (topics.record): a token that came in over HTTP and one from a console producer read alike.
"""

import re
from dataclasses import dataclass

import msgspec

from topics import headers
from topics.catalogue import MAX_MESSAGE_BYTES
from topics.record import Decoded, MalformedValueError, decode_value

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain"
RECORD_OVERHEAD_BYTES = 200
"""Batch header (61), record framing (at most 37) and header framing, as an upper bound; refused here, not by the broker."""
_BLANK = b" \t\n\r\v\f"
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class OutgoingRecord:
    """A record ready to be produced; its key is the token's bytes."""

    token: str
    record_id: str
    value: bytes
    key: bytes
    headers: dict[str, str]

    @property
    def size_bytes(self) -> int:
        """Upper bound of the record's size in a batch of its own, before compression."""
        in_headers = sum(len(name) + len(text.encode()) + 10 for name, text in self.headers.items())
        return len(self.value) + len(self.key) + in_headers + RECORD_OVERHEAD_BYTES


def read_body(body: bytes, pattern: re.Pattern[str] | None) -> Decoded:
    """Read the token and its extra fields out of a POST's body, which must be a JSON object.

    Raises:
        MalformedValueError: it is no JSON object, or has no usable token.

    """
    if not body.lstrip(_BLANK).startswith(b"{"):
        msg = 'the body must be a JSON object such as {"token": "1234"}'
        raise MalformedValueError(msg)
    return decode_value(body, pattern)


def outgoing_record(decoded: Decoded, *, record_id: str, traceparent: str | None) -> OutgoingRecord:
    """Make the record; a traceparent that does not follow W3C Trace Context is left out."""
    value, content_type = encode_value(decoded)
    record_headers = {headers.RECORD_ID: record_id, "content-type": content_type}
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        record_headers[headers.TRACEPARENT] = traceparent
    return OutgoingRecord(decoded.token, record_id, value, decoded.token.encode(), record_headers)


def encode_value(decoded: Decoded) -> tuple[bytes, str]:
    """Write a value that `decode_value` reads back to the same token and fields, and its media type.

    The plain token where that says all (what a console consumer likes to see), else a JSON object with the fields as sent.
    """
    plain = decoded.token.encode()
    if not decoded.extra and _reads_back(plain, decoded.token):
        return plain, TEXT_TYPE
    return msgspec.json.encode({"token": decoded.token, **decoded.extra}), JSON_TYPE


def fits_topic(record: OutgoingRecord) -> bool:
    """Say whether the tokens topic takes a record of this size."""
    return record.size_bytes <= MAX_MESSAGE_BYTES


def _reads_back(plain: bytes, token: str) -> bool:
    """Say whether the bare token is a value: one that begins like JSON or with a blank is not."""
    try:
        decoded = decode_value(plain)
    except MalformedValueError:
        return False
    return decoded.token == token and not decoded.extra
