"""The value of a record: which token it asks for. Pure; total over bytes.

Grammar, by the first non-blank byte: `{` is a JSON object with `token` (a string, or an integer whose digits are taken as
written); `"` is a JSON string; `[` is malformed, because one record is one token; anything else is the text itself, trimmed
of ASCII white space. So one line of kafka-console-producer is a token: `1234`, `007`, `1e3` and `null` stay as written.
"""

import re
from dataclasses import dataclass, field

import msgspec

MAX_TOKEN_CHARACTERS = 256
_BLANK = " \t\n\r\v\f"
_INTEGER = re.compile(r"-?[0-9]+")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)


class MalformedValueError(ValueError):
    """The value names no token; the text says why, and never quotes more than a token's length of it."""


@dataclass(slots=True)
class Decoded:
    """A token, and the other fields of its JSON object (name -> raw JSON), for the provider's templates."""

    token: str
    extra: dict[str, msgspec.Raw] = field(default_factory=dict)


def decode_value(value: bytes | None, pattern: re.Pattern[str] | None = None) -> Decoded:
    """Read the token out of a record's value.

    Raises:
        MalformedValueError: null, empty, not UTF-8, broken JSON, a list, no usable `token`, or `validate_token` refuses it.

    """
    if value is None:
        msg = "the value is null: a record carries a token"
        raise MalformedValueError(msg)
    try:
        text = value.decode().strip(_BLANK)
    except UnicodeDecodeError as error:
        msg = f"the value is not UTF-8: byte {error.start} is 0x{value[error.start]:02x}"
        raise MalformedValueError(msg) from error
    match text[:1]:
        case "{":
            return _decode_object(text, pattern)
        case '"':
            return Decoded(validate_token(_decode_string(text), pattern))
        case "[":
            msg = "the value is a JSON list: one record is one token"
            raise MalformedValueError(msg)
        case _:
            return Decoded(validate_token(text, pattern))


def validate_token(token: str, pattern: re.Pattern[str] | None = None) -> str:
    """Return the token, or say what is wrong with it.

    Raises:
        MalformedValueError: empty, longer than 256 characters, a character that does not print, or no match of `pattern`.

    """
    if not token:
        msg = "the token is empty"
        raise MalformedValueError(msg)
    if len(token) > MAX_TOKEN_CHARACTERS:
        msg = f"the token has {len(token)} characters: at most {MAX_TOKEN_CHARACTERS} are allowed"
        raise MalformedValueError(msg)
    if not token.isprintable():
        at, character = next((i, c) for i, c in enumerate(token) if not c.isprintable())
        msg = f"character {at + 1} of the token, U+{ord(character):04X}, does not print"
        raise MalformedValueError(msg)
    if pattern is not None and pattern.fullmatch(token) is None:
        msg = f"the token does not match TOKEN_PATTERN {pattern.pattern!r}"
        raise MalformedValueError(msg)
    return token


def _decode_object(text: str, pattern: re.Pattern[str] | None) -> Decoded:
    try:
        fields = _OBJECT.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"the value is not valid JSON: {error}"
        raise MalformedValueError(msg) from error
    raw = fields.pop("token", None)
    if raw is None:
        msg = 'the JSON object has no "token"'
        raise MalformedValueError(msg)
    written = bytes(raw).decode().strip(_BLANK)
    if written.startswith('"'):
        token = _decode_string(written)
    elif _INTEGER.fullmatch(written):
        token = written
    else:
        msg = '"token" is neither a string nor an integer'
        raise MalformedValueError(msg)
    return Decoded(validate_token(token, pattern), fields)


def _decode_string(text: str) -> str:
    try:
        return _STRING.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"the value is not a valid JSON string: {error}"
        raise MalformedValueError(msg) from error
