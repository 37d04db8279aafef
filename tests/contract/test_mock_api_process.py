"""The mock API as a process: how it starts, refuses to start, and ends."""

import subprocess
import time
from pathlib import Path

import pytest

from mock_api.server import MockServer
from mock_api.settings import MockApiSettings
from tests.support.mock_processes import running_mock_api, spawn_mock_api
from tests.support.raw_http import RawConnection, score_of
from tests.support.waiting import eventually


def _is(value: int, expected: int) -> None:
    assert value == expected


def _outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    printed, complained = process.communicate(timeout=15)
    return process.returncode, printed, complained


async def test_sigterm_ends_it_within_a_second_with_calls_in_flight(tmp_path: Path) -> None:
    """The outside world does not drain: callers are cut off, the count is printed, the exit code is 0."""
    with running_mock_api(tmp_path) as mock:
        connections = [await RawConnection.open(mock.port) for _ in range(20)]
        for connection in connections:
            await connection.send(score_of("1234"))
        await eventually(lambda: _is(mock.stats()["calls"], 20), timeout_seconds=5)
        began = time.monotonic()
        printed = mock.end()
        assert time.monotonic() - began < 1
        assert mock.process.returncode == 0
        assert "20 calls of 1 tokens, 19 repeated, 20 cut off now, 0 left by their callers" in printed
        for connection in connections:
            assert await connection.rest() == b""
            await connection.close()


async def test_a_server_in_this_process_cuts_its_connections_when_it_stops() -> None:
    """Stop is legal twice and before the start; no connection outlives it, and the port is free again."""
    server = MockServer(MockApiSettings(_env_file=None, mock_api_port=0, bind_address="127.0.0.1"))
    await server.stop()
    await server.start()
    connection = await RawConnection.open(server.port)
    await connection.send(score_of("1234"))
    await eventually(lambda: _is(server.mock.ledger.in_flight, 1), timeout_seconds=5)
    await server.stop()
    await server.stop()
    assert await connection.rest() == b""
    await connection.close()
    with pytest.raises(ConnectionRefusedError):
        await RawConnection.open(server.port)


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    """A second mock on the same port says what to change, without a traceback."""
    with running_mock_api(tmp_path) as mock:
        code, printed, complained = _outcome(spawn_mock_api(tmp_path, {"MOCK_API_PORT": str(mock.port)}))
    assert (code, printed, complained.count("\n")) == (1, "", 1)
    assert complained.startswith(f"Port {mock.port} on 127.0.0.1 is in use")
    assert "MOCK_API_PORT" in complained


def test_an_address_of_another_machine_is_one_sentence(tmp_path: Path) -> None:
    """An address that is not ours (TEST-NET-1, RFC 5737) names the setting."""
    code, _, complained = _outcome(spawn_mock_api(tmp_path, {"BIND_ADDRESS": "192.0.2.1"}))
    assert (code, complained.count("\n")) == (1, 1)
    assert "cannot listen on 192.0.2.1:0" in complained
    assert "BIND_ADDRESS" in complained


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"MOCK_API_ERROR_RATIO": "1.5"}, ["MOCK_API_ERROR_RATIO=1.5"]),
        ({"MOCK_API_LATENCY_MIN_SECONDS": "20"}, ["MOCK_API_LATENCY_MIN_SECONDS=20", "MOCK_API_LATENCY_MAX_SECONDS=10"]),
        ({"MOCK_API_PORT": "http"}, ["MOCK_API_PORT=http"]),
        ({"MOCK_API_PROFILE": "{"}, ["MOCK_API_PROFILE: "]),
        ({"MOCK_API_PROFILE": '{"eror_ratio": 0}'}, ["MOCK_API_PROFILE: ", "eror_ratio"]),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, environment: dict[str, str], names: list[str]) -> None:
    """One sentence with the variable and its value, exit code 1, no traceback."""
    code, printed, complained = _outcome(spawn_mock_api(tmp_path, environment))
    assert (code, printed, complained.count("\n")) == (1, "", 1)
    assert all(name in complained for name in names)


def test_settings_are_read_from_the_env_file_of_the_folder(tmp_path: Path) -> None:
    """A .env with comments and spaces behind its values is understood; the environment wins over it."""
    lines = ["MOCK_API_LATENCY_MIN_SECONDS=1   # quick", "MOCK_API_LATENCY_MAX_SECONDS=2  ", "MOCK_API_ERROR_RATIO=0.5"]
    (tmp_path / ".env").write_text("\n".join(lines))
    with running_mock_api(tmp_path, {"MOCK_API_ERROR_RATIO": "0.1"}) as mock:
        assert ", 1-2 s a call, 10% errors" in mock.greeting


def test_a_control_port_in_use_names_its_setting(tmp_path: Path) -> None:
    """The ports are told apart."""
    with running_mock_api(tmp_path) as mock:
        code, printed, complained = _outcome(spawn_mock_api(tmp_path, {"MOCK_API_CONTROL_PORT": str(mock.port)}))
    assert (code, printed, complained.count("\n")) == (1, "", 1)
    assert complained.startswith(f"Port {mock.port} on 127.0.0.1 is in use")
    assert "MOCK_API_CONTROL_PORT" in complained


def test_a_profile_can_be_set_at_the_start(tmp_path: Path) -> None:
    """Its fields lie over those of the other settings, and a reset comes back to it."""
    profile = '{"latency": {"distribution": "fixed", "seconds": 0.5}, "rate_limit": {"calls": 7}}'
    with running_mock_api(tmp_path, {"MOCK_API_PROFILE": profile, "MOCK_API_ERROR_RATIO": "0.1"}) as mock:
        assert ", latency by its profile, 10% errors" in mock.greeting
        mock.behave()
        mock.ask("POST", "/reset?profile=true")
        first = mock.ask("GET", "/profile")
    assert (first["latency"]["seconds"], first["rate_limit"]["calls"], first["error_ratio"]) == (0.5, 7, 0.1)
