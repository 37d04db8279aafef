"""What `tokenflow up` says when it cannot start; nothing is started in any of these."""

import resource
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.stacks import TOKENFLOW, UserStack, settings_of_a_stack


@pytest.fixture
def stack(clear_environment: None, tmp_path: Path) -> UserStack:
    """Name a folder where nothing runs."""
    return UserStack(tmp_path, settings_of_a_stack())


@pytest.mark.parametrize("arguments", [["up"], ["up", "--detach"]])
def test_a_port_in_use_is_named_with_its_holder_and_its_setting(stack: UserStack, arguments: list[str]) -> None:
    """The sentence says which port, who has it and which setting moves the part; the background start says it too."""
    with socket.create_server(("127.0.0.1", int(stack.settings["POSTGRES_PORT"]))):
        refused = stack.run(*arguments)
    assert refused.returncode == 1
    said = refused.stdout + refused.stderr
    assert f"Port {stack.settings['POSTGRES_PORT']} of PostgreSQL is in use by " in said
    assert "POSTGRES_PORT" in said
    assert len(said.strip().splitlines()) == 1
    assert not (stack.folder / ".tokenflow" / "postgres").exists()


def test_too_few_open_files_name_worker_concurrency(stack: UserStack) -> None:
    """Under a hard limit of 512 open files the ceiling is refused, with a number that would fit."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    refused = subprocess.run(  # noqa: S603 - our own command line
        [*TOKENFLOW, "up"],
        cwd=stack.folder,
        env={"PATH": "/usr/bin:/bin", **stack.settings},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert refused.returncode == 1
    assert "set WORKER_CONCURRENCY=1 and QUEUE_BATCH_SIZE=12" in refused.stdout + refused.stderr
