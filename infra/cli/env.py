"""`tokenflow env`: the addresses of the running stack as shell variables."""

import shlex

import typer

from infra.cli import addresses


def env() -> None:
    """Print KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL for the shell: eval "$(tokenflow env)"."""
    running, named = addresses.of_running_stack(), addresses.of_settings()
    found = {
        "KAFKA_BOOTSTRAP_SERVERS": running.kafka_bootstrap_servers or named.kafka_bootstrap_servers,
        "DATABASE_URL": running.database_url or named.database_url,
    }
    for name, value in found.items():
        if value is not None:
            typer.echo(f"export {name}={shlex.quote(value)}")
    missing = " and ".join(name for name, value in found.items() if value is None)
    if missing:
        typer.echo(f"No stack runs from this folder, so {missing} cannot be told: start one with `tokenflow up`.", err=True)
        raise typer.Exit(1)
