import json
import subprocess
import sys
from collections.abc import Iterator

from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from topics.asyncapi import as_yaml, describe
from topics.headers import OURS
from topics.settings import KafkaSettings

SETTINGS = KafkaSettings(kafka_bootstrap_servers="one:1,two:2", tokens_topic="ids", retry_delay_minutes=0.05)


def test_the_document_is_what_faststreams_own_models_say_is_one() -> None:
    """Written out and read back, it is the same document of version 3."""
    document = json.loads(describe(SETTINGS).to_json())
    assert document["asyncapi"] == "3.0.0"
    assert ApplicationSchema.model_validate(document).to_jsonable() == document


def test_the_channels_are_the_real_topics_of_the_settings() -> None:
    """Names as `topics create` makes them, and all brokers as servers."""
    document = describe(SETTINGS).to_jsonable()
    addresses = {name: channel["address"] for name, channel in document["channels"].items()}
    assert addresses == {"tokens": SETTINGS.tokens_topic, "retry": SETTINGS.retry_topic, "dlq": SETTINGS.dlq_topic}
    assert sorted(server["host"] for server in document["servers"].values()) == ["one:1", "two:2"]
    assert {name: each["action"] for name, each in document["operations"].items()} == {
        "tokens": "receive",
        "retry": "send",
        "dlq": "send",
    }


def test_every_reference_of_the_document_arrives() -> None:
    """A viewer can follow each of them."""
    document = describe(SETTINGS).to_jsonable()
    found = list(_references(document))
    assert found
    for reference in found:
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_the_value_of_tokens_is_a_string_or_an_object_with_a_token() -> None:
    """Other fields of the object are welcome; every header of ours is described where it is sent."""
    components = describe(SETTINGS).to_jsonable()["components"]
    either = components["schemas"]["tokens:Message:Payload"]["anyOf"]
    assert {"type": "string"} in either
    assert {"$ref": "#/components/schemas/TokenObject"} in either
    token_object = components["schemas"]["TokenObject"]
    assert token_object["required"] == ["token"]
    assert token_object["additionalProperties"] is True
    of_dlq = components["messages"]["dlq:Message"]["headers"]["properties"]
    assert set(of_dlq) > OURS
    assert "__connect.errors.exception.class.name" in of_dlq
    assert "attempt" not in components["messages"]["tokens:Message"]["headers"]["properties"]


def test_yaml_says_a_leaf_a_line() -> None:
    """Strings in JSON's quotes, which YAML reads alike; what is empty stands on its line."""
    assert as_yaml({"a": {"b: #": [1, "x\n", {"c": None}], "d": {}}, "e": True}) == (
        '"a":\n  "b: #":\n    - 1\n    - "x\\n"\n    -\n      "c": null\n  "d": {}\n"e": true\n'
    )


def test_the_command_prints_the_document() -> None:
    """JSON on standard output and nothing else, with warnings as errors; no broker is asked."""
    command = [sys.executable, "-W", "error", "-m", "infra.cli", "topics", "asyncapi"]
    done = subprocess.run(  # noqa: S603 - ours
        command, env={"PATH": "", "TOKENS_TOPIC": "ids"}, capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(done.stdout)["channels"]["tokens"]["address"] == "ids"
    assert done.stderr == ""


def _references(node: object) -> Iterator[str]:
    match node:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for child in node.values():
                yield from _references(child)
        case list():
            for child in node:
                yield from _references(child)
