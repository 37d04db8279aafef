"""One running `tokenflow up`, and what a user does with it."""

import shlex
import subprocess
from collections.abc import Iterator

import asyncpg
import pytest

from tests.support.stacks import UserStack, ask, settings_of_a_stack
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def stack(clear_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserStack]:
    """Run a stack that serves; its folder has spaces in its name."""
    user = UserStack(tmp_path_factory.mktemp("a folder of a user"), settings_of_a_stack())
    try:
        user.up()
        yield user
    finally:
        user.end()


async def test_a_posted_token_becomes_a_row(stack: UserStack) -> None:
    """A token that was posted is answered by the API, and its row is found under the DATABASE_URL that `env` prints."""
    stack.submit("posted")
    assert stack.outcome("posted") == "succeeded"
    exported = dict(line.removeprefix("export ").split("=", 1) for line in stack.run("env").stdout.splitlines())
    connection = await asyncpg.connect(shlex.split(exported["DATABASE_URL"])[0], timeout=10)
    try:
        assert await connection.fetchval("SELECT outcome::text FROM outcomes WHERE token = 'posted'") == "succeeded"
    finally:
        await connection.close()


def test_the_printed_commands_work_as_they_stand(stack: UserStack) -> None:
    """Pasted into a shell elsewhere, the first command produces 1234; the other two are what curl would ask."""
    change_folder, produce, post, get = (
        line for line in stack.screen.splitlines() if line.startswith(("cd ", "echo ", "curl "))
    )
    done = subprocess.run(  # noqa: S603 - the user's shell, with none of the stack's settings
        ["/bin/sh", "-c", f"{change_folder} && {produce}"], cwd="/", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    words = shlex.split(post)
    assert words[:3] == ["curl", "-X", "POST"]
    assert ask(words[3], words[words.index("-d") + 1].encode())[0] == 202
    status, answer = ask(shlex.split(get)[1])
    assert (status, answer["token"], answer["outcome"]) == (200, "1234", "succeeded")


def test_a_second_up_in_the_same_folder_is_refused(stack: UserStack) -> None:
    """Two stacks never share a folder: the second one says so in one sentence and changes nothing."""
    refused = stack.run("up")
    assert refused.returncode != 0
    said = (refused.stdout + refused.stderr).strip()
    assert "already runs" in said
    assert "tokenflow down" in said
    assert len(said.splitlines()) == 1
    stack.submit("after-the-refusal")


async def test_a_killed_worker_is_named_and_started_again(stack: UserStack) -> None:
    """A worker that is killed is on the screen with its signal, is started again, and stores the next token."""
    [worker] = [each for each in stack.processes() if each.cmdline()[-1:] == ["work"]]
    worker.kill()

    def is_back() -> None:
        after = stack.screen.partition("worker 1 ended with signal 9 (SIGKILL)")[2]
        assert "worker 1 starts again in 0.5 s." in after
        assert any(line.split()[:3] == ["worker", "1", "ready"] for line in after.splitlines()), stack.screen

    await eventually(is_back, timeout_seconds=60)
    stack.submit("after-the-kill")
    assert stack.outcome("after-the-kill") == "succeeded"
