"""`tokenflow topics`: create the topics of this deployment, check them, and describe the contract on them."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, TypeVar

import typer

from topics.asyncapi import as_yaml, describe
from topics.connection import KafkaConnectionError
from topics.provision import Difference, ProvisionError, create_topics, topic_specs, verify_topics
from topics.settings import KafkaSettings, SettingsError, load_settings

app = typer.Typer(help="Create, check and describe the Kafka topics.", no_args_is_help=True)
Answer = TypeVar("Answer")


@app.command()
def create() -> None:
    """Create the topics that are missing; never changes one that exists."""
    settings = _settings()
    made = _ask(create_topics(settings))
    for spec in topic_specs(settings):
        state = "created" if made[spec.name] else "exists "
        typer.echo(f"{state}  {spec.name}  {spec.partitions} partitions, {spec.replication_factor} replicas")
    _report(_ask(verify_topics(settings)))


@app.command()
def check() -> None:
    """Compare the topics with what they should be; exits with 1 if they differ."""
    settings = _settings()
    differences = _ask(verify_topics(settings))
    if differences:
        _report(differences)
        raise typer.Exit(1)
    typer.echo(f"{', '.join(spec.name for spec in topic_specs(settings))}: as they should be")


@app.command()
def asyncapi(yaml: Annotated[bool, typer.Option("--yaml", help="YAML instead of JSON.")] = False) -> None:
    """Print the contract as an AsyncAPI 3 document, for these settings; asks no broker."""
    document = describe(_settings())
    typer.echo(as_yaml(document.to_jsonable()) if yaml else document.to_json(), nl=not yaml)


def _report(differences: list[Difference]) -> None:
    for difference in differences:
        typer.echo(f"{'error' if difference.fatal else 'warning'}: {difference}", err=True)


def _settings() -> KafkaSettings:
    try:
        return load_settings(KafkaSettings)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def _ask(question: Coroutine[None, None, Answer]) -> Answer:
    try:
        return asyncio.run(question)
    except (KafkaConnectionError, ProvisionError, SettingsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
