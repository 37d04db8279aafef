"""`tokenflow dlq` on dead letters that a real worker stored."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.services import free_ports
from tests.support.system import System


async def dlq(database: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does, in a folder where no stack runs; output is bytes."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "infra.cli", "dlq", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **({"DATABASE_URL": database} if database else {})},
        capture_output=True,
        check=False,
        timeout=60,
    )


async def test_dead_letters_are_listed_shown_and_given_back_as_they_came(system: System, tmp_path: Path) -> None:
    """Newest first, by kind, as JSON; one with everything; its value byte for byte."""
    nothing = await dlq(system.database, "list", folder=tmp_path)
    assert (nothing.returncode, nothing.stdout) == (0, b"no dead letters\n")
    worker = system.start_worker()
    await system.produce([b"\xff\xfe\x00"], headers=[("origin", b"\xff"), ("origin", b"here")], keyed=False)
    await system.wait_for(1, "dead_lettered")
    await system.produce([b"[1]\r\n"], keyed=False)
    await system.wait_for(2, "dead_lettered")
    await worker.terminate()

    listed = (await dlq(system.database, "list", folder=tmp_path)).stdout.decode()
    assert max(len(line) for line in listed.splitlines()) <= 80
    assert listed.index("JSON list") < listed.index("not UTF-8")
    printed = (await dlq(system.database, "list", "--json", "--kind", "malformed", folder=tmp_path)).stdout
    newest, oldest = [json.loads(line) for line in printed.splitlines()]
    assert newest["error_message"] == "the value is a JSON list: one record is one token"
    assert len((await dlq(system.database, "list", "--limit", "1", "--json", folder=tmp_path)).stdout.splitlines()) == 1
    other = await dlq(system.database, "list", "--kind", "rejected", folder=tmp_path)
    assert other.stdout == b"no dead letters of kind rejected\n"

    shown = (await dlq(system.database, "show", oldest["record_id"], folder=tmp_path)).stdout.decode()
    assert "  origin: 0xff\n  origin: here\n" in shown
    assert "00000000  ff fe 00 " in shown
    assert f"{system.topic}[{oldest['source_partition']}]@{oldest['source_offset']}" in shown
    assert (await dlq(system.database, "show", oldest["record_id"], "--raw", folder=tmp_path)).stdout == b"\xff\xfe\x00"
    assert (await dlq(system.database, "show", newest["record_id"], "--raw", folder=tmp_path)).stdout == b"[1]\r\n"


async def test_what_cannot_be_shown_is_one_sentence(database: str, tmp_path: Path) -> None:
    """An id that nobody has, no id at all, a database that is away, none named: no traceback."""
    unknown = "0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"
    missing = await dlq(database, "show", unknown, folder=tmp_path)
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert missing.stderr.decode() == f"There is no dead letter of record {unknown}: see `tokenflow dlq list`.\n"
    assert (await dlq(database, "show", "17", folder=tmp_path)).returncode == 2
    away = f"postgresql://nobody:secret@127.0.0.1:{free_ports(1)[0]}/none"
    for url, begin in ((away, "DATABASE_URL: the database cannot be reached"), ("", "Which database?")):
        done = await dlq(url, "list", folder=tmp_path)
        assert done.returncode == 2
        assert done.stderr.decode().startswith(begin)
        assert done.stderr.count(b"\n") == 1
        assert b"secret" not in done.stderr
