"""The commands of docs/recipes.md, run in a shell as they stand there, with Kafka's own tools and a real worker."""

import asyncio
import json
import os
import re
import shlex
import sys
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.system import System

RECIPES = ROOT / "docs" / "recipes.md"
COMMAND_SECONDS = 60


def commands() -> list[str]:
    """Return the shell blocks of the page."""
    return re.findall(r"^```sh\n(.*?)^```", RECIPES.read_text("utf-8"), re.MULTILINE | re.DOTALL)


async def run(command: str, system: System, folder: Path) -> str:
    """Run a command on a system of a test; return what it printed. It must end well and complain of nothing."""
    tokenflow = shlex.join([sys.executable, "-P", "-m", "infra.cli"])
    here = command.replace(".venv/bin/tokenflow", tokenflow).replace("--topic tokens", f"--topic {system.topic}")
    environment = {**os.environ, **system.environment, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_shell(
        here, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        printed, complaints = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, (command, complaints)
    assert b"deprecated" not in complaints, (command, complaints)
    return printed.decode()


async def test_every_recipe_does_what_the_page_says(system: System, tmp_path: Path) -> None:
    """All producers of the page, then its readers: each token is called once, the one null is a dead letter."""
    producers = [command for command in commands() if "console-producer" in command]
    readers = [command for command in commands() if command not in producers]
    assert (len(producers), len(readers)) == (6, 2)
    worker = system.start_worker()
    await asyncio.gather(*(run(command, system, tmp_path) for command in producers))
    tokens = [*map(str, range(1, 1001)), *map(str, range(5001, 6001)), "de-17", "a b", "k1", "k2", "h1", "k3"]
    await worker.ready()
    await system.wait_for(len(tokens))
    await system.wait_for(1, "dead_lettered")

    rows = await system.rows("SELECT token, record_id, outcome::text, error_kind, error_message FROM outcomes")
    assert sorted(row["token"] for row in rows if row["outcome"] == "succeeded") == sorted(tokens)
    (of_header,) = (str(row["record_id"]) for row in rows if row["token"] == "h1")
    assert of_header == "0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"
    (dead,) = await system.rows("SELECT * FROM dead_letters")
    assert (dead["key"], dead["payload"], dead["error_kind"]) == (b"k4", None, "malformed")
    assert json.loads(dead["headers"]) == [["origin", "Y3Jt"]]

    listed, consumed = await asyncio.gather(*(run(command, system, tmp_path) for command in readers))
    assert str(dead["record_id"]) in listed
    assert json.loads(listed.splitlines()[-1])["record_id"] == str(dead["record_id"])
    assert f"record-id:{dead['record_id']}" in consumed
    assert "origin:crm" in consumed
    assert "__connect.errors.exception.class.name:tokenflow.malformed" in consumed
    await system.drained()
    await worker.terminate()
