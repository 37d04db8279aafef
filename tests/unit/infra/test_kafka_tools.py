import zipfile
from pathlib import Path

import pytest

from infra.cli.kafka import TOOLS, Place, Tool, needs_address, usage, with_address
from infra.local.artifacts import install_jars
from infra.local.kafka import server_properties

FIRST = Tool("a.Class")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bootstrap-server", "other:9092"],
        ["--bootstrap-server=other:9092"],
        ["--topic", "tokens", "--bootstrap-serv", "other:9092"],
        ["--bootstrap-controller", "other:9093", "describe"],
        ["--producer-props", "acks=all", "bootstrap.servers=other:9092"],
        ["--version"],
        ["--help"],
    ],
)
def test_an_address_that_was_given_is_never_added_to(arguments: list[str]) -> None:
    """The user's own choice of Kafka stands, however it is written."""
    assert not needs_address(FIRST, arguments)


def test_an_address_is_added_where_the_tool_takes_it() -> None:
    """Before the subcommand for most, behind it for `cluster`, and not at all for what reads files."""
    assert needs_address(FIRST, ["--list"])
    assert with_address(FIRST, ["--list"], "h:1") == ["--bootstrap-server", "h:1", "--list"]
    assert with_address(TOOLS["cluster"], ["cluster-id"], "h:1") == ["cluster-id", "--bootstrap-server", "h:1"]
    assert not needs_address(Tool("a.Class", Place.NOWHERE), ["format"])


def test_every_tool_is_a_class_of_the_jars(tmp_path: Path) -> None:
    """A name in the table that no jar has would fail only when somebody needs it."""
    jars = install_jars(fallback=tmp_path, progress=lambda _: None)
    classes = {name for jar in jars.glob("kafka*.jar") for name in zipfile.ZipFile(jar).namelist()}
    assert [name for name, tool in TOOLS.items() if f"{tool.main_class.replace('.', '/')}.class" not in classes] == []


def test_the_usage_lists_every_tool() -> None:
    """Whoever mistypes one reads the right name."""
    assert all(name in usage() for name in TOOLS)


def test_the_broker_listens_on_this_machine_alone_and_names_its_port() -> None:
    """The advertised listener is what clients connect to after the first answer."""
    lines = dict(line.split("=", 1) for line in server_properties(port=1, controller_port=2, data="data").splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert lines["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1"
    assert lines["controller.quorum.voters"] == "1@127.0.0.1:2"
    assert lines["auto.create.topics.enable"] == "false"
