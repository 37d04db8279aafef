"""The log is worked on again: what was lost or failed, nothing that is stored, and all of it by force."""

import re
import uuid
from collections import Counter
from pathlib import Path

from tests.support.dlq import tokenflow
from tests.support.system import System

RULES = [
    {"pattern": "gone.*", "behaviour": {"statuses": {"404": 1}}},
    {"pattern": "flaky.*", "behaviour": {"statuses": {"500": 1}}},
]
COUNTS = {"good": 200, "gone": 10, "flaky": 10}


async def test_what_was_lost_or_failed_is_replayed_and_nothing_that_is_stored(system: System, tmp_path: Path) -> None:
    """Lost rows come back under their ids, dead letters as redrives; what waits for its retry and what is stored stays."""
    system.mock.behave(rules=RULES)
    await system.produce([b"%s%d" % (kind.encode(), n) for kind, count in COUNTS.items() for n in range(count)])
    await system.produce([b"[1]", b"\xff"])
    forged = (("record-id", str(uuid.uuid4()).encode()), ("redrive-count", b"1"))
    await system.produce([b"[2]"], headers=forged)  # a worker gives it its derived id, whatever it says
    worker = system.start_worker()
    await system.wait_for(200)
    await system.wait_for(13, "dead_lettered")
    await system.wait_for(10, "retrying")
    await system.drained()
    before = await system.rows("SELECT record_id FROM outcomes")
    await system.rows(
        "DELETE FROM outcomes WHERE token LIKE 'good%7' OR (token IS NULL AND error_message NOT LIKE '%list%')"
    )
    await system.rows("DELETE FROM dead_letters WHERE token IS NULL AND error_message NOT LIKE '%list%'")

    dry = await tokenflow(system, "replay", "--since", "1h", "--dry-run", folder=tmp_path)
    assert dry.returncode == 0, dry.stderr.decode()
    expected = [223, 33, 21, 12, 180, 10]  # read, produced, without a row, failed, stored, to come
    assert _numbers(dry.stdout) == expected
    assert await system.rows("SELECT 1 FROM operations") == []
    assert await system.lag() == 0

    done = await tokenflow(system, "replay", "--since", "1h", folder=tmp_path)
    assert _numbers(done.stdout) == expected, done.stderr.decode()
    await system.wait_for(200)
    await system.wait_for(13, "dead_lettered")
    await system.drained()
    assert set(before) == set(await system.rows("SELECT record_id FROM outcomes"))
    assert await _redrives(system) == {("gone", 1): 10, ("malformed", 1): 3}
    calls = Counter(system.mock.stats("?tokens=true")["calls_by_token"])
    again = {token for token, count in calls.items() if count > 1}
    assert again == {f"good{n}" for n in range(7, 200, 10)} | {f"gone{n}" for n in range(10)}
    assert max(calls.values()) == 2
    ((status, produced),) = await system.rows("SELECT status, produced FROM operations WHERE action = 'replay'")
    assert (status, produced) == ("done", 33)

    once_more = await tokenflow(system, "replay", "--since", "1h", folder=tmp_path)
    read, produced, missing, failed, stored, to_come, copies = _numbers(once_more.stdout)
    assert (missing, failed, produced, to_come) == (0, 13, 13, 10)
    assert read == 223 + 33 == produced + stored + to_come + copies  # what the first one produced lies in the log as well
    await system.wait_for(13, "dead_lettered")
    await tokenflow(system, "replay", "--from-offset", "0:0", folder=tmp_path)
    await system.drained()
    assert Counter(system.mock.stats("?tokens=true")["calls_by_token"])["good7"] == 2
    await worker.terminate()


async def test_by_force_every_token_is_called_once_more_under_a_new_id(system: System, tmp_path: Path) -> None:
    """And a forced replay that is run again as the same run calls for nothing that it has stored."""
    await system.produce(b"t%d" % n for n in range(50))
    worker = system.start_worker()
    await system.wait_for(50)
    await system.drained()
    first = await tokenflow(system, "replay", "--token-file", str(_file(tmp_path)), "--force", folder=tmp_path)
    assert b"3 records read, 3 produced under new ids" in first.stdout, first.stderr.decode()
    await system.wait_for(53)
    (run,) = re.findall(rb"run ([0-9a-f-]{36})", first.stdout)
    await system.drained()
    again = ("--token-file", str(_file(tmp_path)), "--force", "--run", run.decode())
    second = await tokenflow(system, "replay", *again, folder=tmp_path)
    assert b"6 records read, 3 produced under new ids" in second.stdout, second.stderr.decode()
    await system.drained()
    assert await system.count() == 53
    assert system.mock.stats()["repeated_calls"] == 3
    await worker.terminate()


def _file(folder: Path) -> Path:
    path = folder / "tokens.txt"
    path.write_text("t1\nt2\r\n\nt3\n")
    return path


def _numbers(output: bytes) -> list[int]:
    """Every number that the command says, in its order."""
    return [int(each.replace(",", "")) for each in re.findall(r"[0-9][0-9,]*", output.decode())]


async def _redrives(system: System) -> dict[tuple[str, int], int]:
    """Count the rows that were redriven, by the kind of their token."""
    query = "SELECT regexp_replace(coalesce(token, 'malformed'), '[0-9]', '', 'g') AS kind, redrive_count FROM outcomes"
    rows = await system.rows(f"{query} WHERE redrive_count > 0")
    return dict(Counter((row["kind"], row["redrive_count"]) for row in rows))
