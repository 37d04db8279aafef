"""The verb of this room: `tokenflow mock-api`."""

import typer
import uvloop

from mock_api.server import ListenError, MockServer, prepare_process
from mock_api.settings import MockApiSettings, MockApiSettingsError, load_mock_api_settings


def mock_api() -> None:
    """Serve a slow, fallible API at /score/{token} that counts its calls (/stats); settings are MOCK_API_..."""
    try:
        settings = load_mock_api_settings()
        prepare_process()
        uvloop.run(_serve(settings))
    except (MockApiSettingsError, ListenError) as error:
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
        count = server.mock.ledger.summary()
    finally:
        await server.stop()
    typer.echo(
        f"mock API: {count['calls']:,} calls of {count['distinct_tokens']:,} tokens, {count['repeated_calls']:,} repeated, "
        f"{count['in_flight']:,} cut off now, {count['disconnected']:,} left by their callers"
    )


def _greeting(server: MockServer, settings: MockApiSettings) -> str:
    profile = server.mock.profile
    return (
        f"mock API: http://{settings.bind_address}:{server.port}/score/{{token}}, "
        f"{profile.latency_min_seconds:g}-{profile.latency_max_seconds:g} s a call, {profile.error_ratio:.0%} errors; "
        f"counts at /stats"
    )
