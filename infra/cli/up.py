"""`tokenflow up`: the whole system on this machine."""

import os
import sys
from typing import Annotated

import typer

from consumers.settings import WorkerSettings
from infra.local.detached import Reported, start_detached
from infra.local.run import Run, leave
from infra.settings import LocalSettings
from mock_api.settings import MockApiSettingsError, load_mock_api_settings
from producer_api.settings import ApiSettings
from topics.settings import SettingsError, load_settings


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many worker processes to run.")] = 1,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is ready; `tokenflow down` stops it.")] = False,
    report_to: Annotated[int | None, typer.Option(hidden=True, help="File descriptor of the one who detached us.")] = None,
) -> None:
    """Start Kafka, PostgreSQL, the mock API, the API and workers; Ctrl-C stops them in order."""
    if complaints := what_the_parts_refuse():
        typer.echo("\n".join(complaints), err=True)
        raise typer.Exit(1)
    settings = load_settings(LocalSettings)
    if detach:
        raise typer.Exit(start_detached(["--workers", str(workers)]))
    environment = dict(os.environ)  # the children's, whole: each reads its own settings from it
    if report_to is None:
        leave(Run(settings, workers=workers, environment=environment).run())
    else:
        stream = Reported(sys.stdout, report_to)
        run = Run(settings, workers=workers, environment=environment, stream=stream, detached=True, when_ready=stream.ready)
        leave(run.run())


def what_the_parts_refuse() -> list[str]:
    """List what the parts would say to these settings: at once, and not in the log of a part that ended at its start."""
    complaints: dict[str, None] = {}  # in order, each once: several parts read the same settings
    for settings in (LocalSettings, ApiSettings, WorkerSettings):
        try:
            load_settings(settings)
        except SettingsError as error:
            complaints |= dict.fromkeys(str(error).splitlines())
    try:
        load_mock_api_settings()
    except MockApiSettingsError as error:
        complaints |= dict.fromkeys(str(error).splitlines())
    return list(complaints)
