"""`tokenflow up`: the whole system on this machine."""

import os
import sys
from typing import Annotated

import typer

from infra.local.detached import Reported, start_detached
from infra.local.run import Run, leave
from infra.settings import LocalSettings
from topics.settings import SettingsError, load_settings


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many worker processes to run.")] = 1,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is ready; `tokenflow down` stops it.")] = False,
    report_to: Annotated[int | None, typer.Option(hidden=True, help="File descriptor of the one who detached us.")] = None,
) -> None:
    """Start Kafka, PostgreSQL, the mock API, the API and workers; Ctrl-C stops them in order."""
    try:
        settings = load_settings(LocalSettings)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if detach:
        raise typer.Exit(start_detached(["--workers", str(workers)]))
    environment = dict(os.environ)  # the children's, whole: each reads its own settings from it
    if report_to is None:
        leave(Run(settings, workers=workers, environment=environment).run())
    else:
        stream = Reported(sys.stdout, report_to)
        run = Run(settings, workers=workers, environment=environment, stream=stream, detached=True, when_ready=stream.ready)
        leave(run.run())
