"""Situation: a Kafka and a PostgreSQL of one parent. Fault: kill -9 of the parent. Must hold: nothing runs 5 s later.

And they start again over the same data, with nothing to clean up by hand.
"""

import json
import time
from pathlib import Path

from tests.support.processes import assert_ended, descendants, python
from tests.support.services import execute, make_kafka, make_postgres, running
from tests.support.waiting import eventually

RUN_PARENT = "from tests.support.stack_parent import main; main()"


async def test_servers_of_a_killed_parent_are_gone_within_5_seconds_and_start_again(tmp_path: Path) -> None:
    """Each guard sees its leash close, asks its server to stop, and kills what is left."""
    with python(RUN_PARENT, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        addresses = json.loads(parent.stdout.readline())
        await execute(addresses["postgres"], "CREATE TABLE kept (x int)")
        family = descendants(parent.pid)
        assert len(family) > 8  # two guards, a JVM, a postmaster and its workers
        parent.kill()
        killed_at = time.monotonic()
        await eventually(lambda: assert_ended(family), timeout_seconds=5)
        assert time.monotonic() - killed_at < 5

    with running(lambda: make_kafka(tmp_path)), running(lambda: make_postgres(tmp_path)) as postgres:
        await execute(postgres.database_url, "SELECT x FROM kept")
