"""`tokenflow`: one command line, put together from the verbs of each room.

A verb's room is imported when the verb is called: `tokenflow kafka ...` does not wait for FastAPI, and `tokenflow --help`
waits for nobody. Errors that are the user's to mend are one sentence on standard error and exit code 2.
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from infra.errors import ExpectedError
from topics.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a command is: `module:name` of a function or of a Typer app; `help` is its line in the list."""

    target: str
    help: str
    raw: bool = False
    """The function gets every argument in `context.args`, options too, and parses none of them."""


VERBS: Final[Mapping[str, Verb]] = {
    "up": Verb("infra.cli.up:up", "Start the whole system on this machine; Ctrl-C stops it."),
    "down": Verb("infra.cli.down:down", "Stop the stack of this folder, from any terminal."),
    "env": Verb("infra.cli.env:env", "Print the addresses of the running stack for the shell."),
    "kafka": Verb("infra.cli.kafka:kafka", "Run one of Kafka's own tools.", raw=True),
    "topics": Verb("topics.cli:app", "Create, check and describe the Kafka topics."),
    "lag": Verb("infra.cli.lag:lag", "Show how far the workers are behind; --listen exports it to Prometheus."),
    "dlq": Verb("infra.cli.dlq:app", "Dead letters: what failed, sent again or dropped."),
    "replay": Verb("infra.cli.replay:replay_records", "Work on old records of the log again; what is stored costs no call."),
    "gates": Verb("infra.cli.gates:app", "Show what holds calls back; stop and resume them."),
    "migrate": Verb("infra.cli.migrate:migrate_command", "Bring the database to the schema of this version."),
    "serve": Verb("producer_api.cli:serve", "Run the HTTP API."),
    "work": Verb("consumers.cli:work", "Run one worker."),
    "mock-api": Verb("mock_api.cli:mock_api", "Play the external API: slow, fallible, and it counts its calls."),
}


class RawCommand(TyperCommand):
    """A command that parses nothing."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leave every argument where the function finds it."""
        ctx.args = list(args)
        return args


class Rooms(TyperGroup):
    """The group of all verbs: holds stand-ins for lists and completion, and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=verb.help) for name, verb in VERBS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the real command that the arguments call."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and load(args[0]), rest


app = typer.Typer(
    cls=Rooms, no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)


@app.callback()
def tokenflow() -> None:
    """Look 100,000 IDs up at a slow and rate-limited API: Kafka is the queue, PostgreSQL keeps every answer."""


def load(name: str) -> Any:
    """Import a verb's room and make its command."""
    verb = VERBS[name]
    module, _, attribute = verb.target.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    apart = typer.Typer(add_completion=False)
    apart.callback()(tokenflow)
    if isinstance(target, typer.Typer):
        apart.add_typer(target, name=name)
    else:
        apart.command(name, cls=RawCommand if verb.raw else TyperCommand)(target)
    return get_group(apart).commands[name]


def run() -> None:
    """Entry point of the program."""
    try:
        app(prog_name="tokenflow")
    except (ExpectedError, SettingsError) as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
