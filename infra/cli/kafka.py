"""`tokenflow kafka TOOL ...`: Kafka's own tools, from the jars of the local stack.

The arguments go through as they are; only `--bootstrap-server` is added where none is given. The tool takes this
process's place, so input, output, signals and exit code are its own.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn

import typer

from infra.cli import addresses
from infra.local.artifacts import install_jars
from infra.local.errors import LocalStackError
from infra.local.kafka import java_command
from infra.local.state import StateFolder


class Place(Enum):
    """Where a tool takes `--bootstrap-server`."""

    FIRST = "before everything: tools with subcommands take it nowhere else"
    LAST = "after the subcommand"
    NOWHERE = "the tool reads files"


@dataclass(frozen=True, slots=True)
class Tool:
    """A class with a main method, as the script of the same name in Kafka's own `bin` runs it."""

    main_class: str
    bootstrap: Place = Place.FIRST


_TOOLS = "org.apache.kafka.tools"
TOOLS: Final[Mapping[str, Tool]] = {
    "acls": Tool(f"{_TOOLS}.AclCommand"),
    "broker-api-versions": Tool(f"{_TOOLS}.BrokerApiVersionsCommand"),
    "client-metrics": Tool(f"{_TOOLS}.ClientMetricsCommand"),
    "cluster": Tool(f"{_TOOLS}.ClusterTool", Place.LAST),
    "configs": Tool("kafka.admin.ConfigCommand"),
    "console-consumer": Tool(f"{_TOOLS}.consumer.ConsoleConsumer"),
    "console-producer": Tool(f"{_TOOLS}.ConsoleProducer"),
    "console-share-consumer": Tool(f"{_TOOLS}.consumer.ConsoleShareConsumer"),
    "consumer-groups": Tool(f"{_TOOLS}.consumer.group.ConsumerGroupCommand"),
    "consumer-perf-test": Tool(f"{_TOOLS}.ConsumerPerformance"),
    "delegation-tokens": Tool(f"{_TOOLS}.DelegationTokenCommand"),
    "delete-records": Tool(f"{_TOOLS}.DeleteRecordsCommand"),
    "dump-log": Tool(f"{_TOOLS}.DumpLogSegments", Place.NOWHERE),
    "features": Tool(f"{_TOOLS}.FeatureCommand"),
    "get-offsets": Tool(f"{_TOOLS}.GetOffsetShell"),
    "groups": Tool(f"{_TOOLS}.GroupsCommand"),
    "leader-election": Tool(f"{_TOOLS}.LeaderElectionCommand"),
    "log-dirs": Tool(f"{_TOOLS}.LogDirsCommand"),
    "metadata-quorum": Tool(f"{_TOOLS}.MetadataQuorumCommand"),
    "producer-perf-test": Tool(f"{_TOOLS}.ProducerPerformance"),
    "reassign-partitions": Tool(f"{_TOOLS}.reassign.ReassignPartitionsCommand"),
    "share-groups": Tool(f"{_TOOLS}.consumer.group.ShareGroupCommand"),
    "storage": Tool("kafka.tools.StorageTool", Place.NOWHERE),
    "streams-application-reset": Tool(f"{_TOOLS}.StreamsResetter"),
    "streams-groups": Tool(f"{_TOOLS}.streams.StreamsGroupCommand"),
    "topics": Tool(f"{_TOOLS}.TopicCommand"),
    "transactions": Tool(f"{_TOOLS}.TransactionsCommand"),
    "verifiable-consumer": Tool(f"{_TOOLS}.VerifiableConsumer"),
    "verifiable-producer": Tool(f"{_TOOLS}.VerifiableProducer"),
}
JVM: Final = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "--enable-native-access=ALL-UNNAMED",
)
"""256 MB as in Kafka's own scripts; warnings go to standard error, but for the one that Java 24 has about lz4 and zstd."""
ADDRESSING: Final = ("--bootstrap", "--broker-list", "bootstrap.servers=", "--help", "-h", "--version")
"""An argument that begins so says where Kafka is (--bootstrap-server, --bootstrap-controller, a property) or needs none."""


def kafka(context: typer.Context) -> None:
    """Run one of Kafka's own tools: topics, console-producer, console-consumer, consumer-groups, ..."""
    match context.args:
        case [] | ["--help" | "-h"]:
            typer.echo(usage())
        case [name, *arguments] if name in TOOLS:
            run_tool(TOOLS[name], arguments)
        case [name, *_]:
            typer.echo(f"Kafka has no tool {name}.\n{usage()}", err=True)
            raise typer.Exit(2)


def usage() -> str:
    """Say how the command is used, and list the tools."""
    return "Usage: tokenflow kafka TOOL [ARGS]...; every tool knows --help.\nTools: " + ", ".join(TOOLS)


def needs_address(tool: Tool, arguments: Sequence[str]) -> bool:
    """Tell whether `--bootstrap-server` has to be added. Pure."""
    return tool.bootstrap is not Place.NOWHERE and not any(each.startswith(ADDRESSING) for each in arguments)


def with_address(tool: Tool, arguments: Sequence[str], bootstrap_servers: str) -> list[str]:
    """Add `--bootstrap-server` where the tool takes it. Pure."""
    option = ["--bootstrap-server", bootstrap_servers]
    return [*option, *arguments] if tool.bootstrap is Place.FIRST else [*arguments, *option]


def run_tool(tool: Tool, arguments: Sequence[str]) -> NoReturn:
    """Become the tool."""
    if needs_address(tool, arguments):
        arguments = with_address(tool, arguments, _bootstrap_servers())
    jars = install_jars(fallback=StateFolder.here().kafka, progress=lambda text: typer.echo(text, err=True))
    argv = java_command(jars, tool.main_class, arguments, jvm=JVM)
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted: the tool takes our place


def _bootstrap_servers() -> str:
    """Choose what KAFKA_BOOTSTRAP_SERVERS says, else the stack that runs from this folder."""
    found = addresses.of_settings().kafka_bootstrap_servers or addresses.of_running_stack().kafka_bootstrap_servers
    if found is None:
        msg = "Which Kafka? Run `tokenflow up` in this folder, set KAFKA_BOOTSTRAP_SERVERS, or give --bootstrap-server."
        raise LocalStackError(msg)
    return found
