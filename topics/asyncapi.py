"""The contract as an AsyncAPI 3 document, made by FastStream out of the topics and headers that the code uses. Pure.

FastStream describes a channel by the type of its value; what it has no place for (headers, keys, who receives) is set on
its own models afterwards, so the document is what those models say is one.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from faststream.specification.asyncapi.v3_0_0.schema.operations import Action
from pydantic import BaseModel, ConfigDict, Field

from topics import headers
from topics.connection import bootstrap_servers
from topics.record import MAX_TOKEN_CHARACTERS
from topics.settings import KafkaSettings

TITLE: Final = "tokenflow"
VERSION: Final = "1"
"""Of the contract on Kafka, not of the program: it grows when a producer or consumer of these topics has to change."""

CHANNELS: Final = ("tokens", "retry", "dlq")
Token = str | int


class TokenObject(BaseModel):
    """A JSON object that names a token; its other fields go to the provider's templates."""

    model_config = ConfigDict(extra="allow")

    token: Token = Field(description=f"The ID to look up: 1-{MAX_TOKEN_CHARACTERS} printable characters; digits as written.")


MEANINGS: Final[Mapping[str, str]] = {
    headers.RECORD_ID: "UUID of the record, kept through retry and redrive; derived from the coordinates when absent.",
    headers.JOB_ID: "UUID of the job that the record belongs to.",
    headers.ATTEMPT: "Number of the try, from 1. Ignored on the tokens topic.",
    headers.NOT_BEFORE: "When the record is due, for people; the clock that counts is the broker's.",
    headers.FIRST_FAILED_AT: "When the record failed for the first time.",
    headers.ERROR_KIND: "Why it did not succeed. Ignored on the tokens topic.",
    headers.ERROR_MESSAGE: "The same as a sentence. Ignored on the tokens topic.",
    headers.SOURCE_TOPIC: "Topic that the record came in by. Ignored on the tokens topic.",
    headers.SOURCE_PARTITION: "Its partition there. Ignored on the tokens topic.",
    headers.SOURCE_OFFSET: "Its offset there. Ignored on the tokens topic.",
    headers.SOURCE_TIMESTAMP: "Its append time there, in ms. Ignored on the tokens topic.",
    headers.REDRIVE_COUNT: "How often the record was redriven; believed only as far as the stored row confirms it.",
    headers.REPLAY_OF: "Record id that this record replays.",
    headers.TRACEPARENT: "W3C trace context, handed on.",
}
OF_TOKENS: Final = (headers.RECORD_ID, headers.JOB_ID, headers.REDRIVE_COUNT, headers.REPLAY_OF, headers.TRACEPARENT)
CONNECT_FIELDS: Final = ("topic", "partition", "offset", "exception.class.name", "exception.message")


def describe(settings: KafkaSettings) -> ApplicationSchema:
    """Describe the topics of these settings. No broker is asked: it is the contract, not the state of a cluster."""
    broker = KafkaBroker(bootstrap_servers(settings))
    text = "One record is one token: a JSON object with `token`, a JSON string, or the text itself. The key is the token."
    dead = (
        "Dead letters: key, value and foreign headers as they came (a value too large for the topic stays in the database)."
    )
    broker.publisher(settings.tokens_topic, title="tokens", description=text, schema=TokenObject | str)
    broker.publisher(
        settings.retry_topic,
        title="retry",
        description="Records to be tried again, due at the append time plus the delay in the topic's name.",
        schema=TokenObject | str,
    )
    broker.publisher(settings.dlq_topic, title="dlq", description=dead, schema=bytes)
    document = AsyncAPI(broker, title=TITLE, version=VERSION, schema_version="3.0.0").to_specification()
    assert isinstance(document, ApplicationSchema)  # noqa: S101 - the version asked for
    connect = {f"{headers.CONNECT_PREFIX}{field}": "Kafka Connect's name for the same." for field in CONNECT_FIELDS}
    _complete(document, "tokens", {name: MEANINGS[name] for name in OF_TOKENS})
    _complete(document, "retry", MEANINGS)
    _complete(document, "dlq", {**MEANINGS, **connect})
    document.channels = {name: document.channels[name] for name in CHANNELS}  # FastStream keeps publishers in a set
    document.operations = {name: document.operations[name] for name in CHANNELS}
    document.operations["tokens"].action = Action.RECEIVE
    return document


def _complete(document: ApplicationSchema, channel: str, meanings: Mapping[str, str]) -> None:
    """Add what FastStream's publishers do not say: the headers, and which of them names the record."""
    assert document.components is not None  # noqa: S101 - FastStream makes them of the publishers
    assert document.components.messages is not None  # noqa: S101
    message: Any = document.components.messages[f"{channel}:Message"]
    message.correlationId.location = f"$message.header#/{headers.RECORD_ID}"
    message.headers = {
        "type": "object",
        "properties": {name: {"type": "string", "description": meaning} for name, meaning in meanings.items()},
    }


def as_yaml(document: object) -> str:
    """Write what JSON can hold as YAML 1.2, a line a leaf, strings in JSON's quotes."""
    return "\n".join(_yaml(document, "")) + "\n"


def _yaml(node: object, indent: str) -> Iterator[str]:
    match node:
        case dict() if node:
            for key, value in node.items():
                yield from _entry(f"{indent}{json.dumps(key)}:", value, indent)
        case list() if node:
            for value in node:
                yield from _entry(f"{indent}-", value, indent)
        case _:
            yield f"{indent}{json.dumps(node)}"


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        yield from _yaml(value, f"{indent}  ")
    else:
        yield f"{head} {json.dumps(value)}"
