"""The verb of this room: `tokenflow mock-api`."""

import typer
import uvloop

from mock_api.profile import ProfileError
from mock_api.server import ListenError, MockServer, prepare_process
from mock_api.settings import MockApiSettings, MockApiSettingsError, load_mock_api_settings


def mock_api() -> None:
    """Serve a slow, fallible API at /score/{token} that counts its calls (/stats); settings are MOCK_API_..."""
    try:
        settings = load_mock_api_settings()
        prepare_process()
        uvloop.run(_serve(settings))
    except (MockApiSettingsError, ProfileError, ListenError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


async def _serve(settings: MockApiSettings) -> None:
    """Serve until a signal; say where at the start, and what was counted at the end."""
    server = MockServer(settings)
    await server.start()
    try:
        server.end_on_signals()
        typer.echo(_greeting(server, settings))
        await server.run()
        count = server.mock.ledger
    finally:
        await server.stop()
    typer.echo(
        f"mock API: {count.calls:,} calls of {len(count.calls_by_token):,} tokens, "
        f"{count.calls - len(count.calls_by_token):,} repeated, {count.in_flight:,} cut off now, "
        f"{count.ends['disconnected']:,} left by their callers"
    )


def _greeting(server: MockServer, settings: MockApiSettings) -> str:
    profile = server.mock.profile
    seconds = f"{profile.latency_min_seconds:g}-{profile.latency_max_seconds:g} s a call"
    if profile.latency is not None:
        seconds = "latency by its profile"
    control = "" if server.control_port is None else f", control also on port {server.control_port}"
    return (
        f"mock API: http://{settings.bind_address}:{server.port}/score/{{token}}, "
        f"{seconds}, {profile.error_ratio:.0%} errors; counts at /stats{control}"
    )
