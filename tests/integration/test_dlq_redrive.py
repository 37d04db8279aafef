"""Dead letters are sent again: exactly those that were asked for, as they came, once, whoever dies or asks twice."""

import asyncio
import base64
import json
import os
import random
import signal
import sys
from pathlib import Path
from uuid import UUID

from infra.postgres.dead_letters import dead_letter_tables
from producer_api.redrive.filters import Filter
from producer_api.redrive.operations import Order, begin, dry_run, find, new_holder, resume, take_over
from producer_api.redrive.redriver import TOO_LARGE, Redriver
from tests.support.dead_letters import Bytes, kafka_settings, read_topic, store_dead_letters, times_sent
from tests.support.dlq import dlq
from tests.support.processes import ROOT
from tests.support.system import System
from tests.support.topic_faults import set_otherwise
from tests.support.waiting import eventually

SEED = 20261125
EVERYTHING = Filter()


async def _redriver(system: System, wanted: Filter, *, rate: float | None = None) -> Redriver:
    """Begin an operation."""
    order = Order("redrive", wanted, "somebody", rate, 3)
    async with dead_letter_tables(system.database) as fetch:
        operation = await begin(fetch, order, groups=await dry_run(fetch, order), holder=new_holder())
    return Redriver(kafka_settings(system), system.database, operation)


async def test_dead_letters_are_mended_and_redriven(system: System, tmp_path: Path) -> None:
    """By a filter, at a rate, a call each; what is malformed fails again under its own id, until the loop guard is met."""
    system.mock.behave(rules=[{"pattern": "gone.*", "behaviour": {"statuses": {"404": 1}}}])
    await system.produce([*(b"gone%d" % number for number in range(30)), b"[1]"])
    worker = system.start_worker()
    await system.wait_for(31, "dead_lettered")
    shown = (await dlq(system, "stats", folder=tmp_path)).stdout.decode()
    assert "dead letters: 31 open" in shown
    assert "rejected: HTTP 404" in shown
    dry = (await dlq(system, "redrive", "--kind", "rejected", "--dry-run", folder=tmp_path)).stdout.decode()
    assert "dry run: 30 to redrive; nothing was changed" in dry

    system.mock.change(rules=[])
    done = await dlq(system, "redrive", "--kind", "rejected", "--rate", "100", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"redrive done: 30 of 30 sent again\n")
    await system.wait_for(30)
    assert await system.rows("SELECT 1 FROM dead_letters WHERE state <> 'open'") == []
    assert {
        tuple(row) for row in await system.rows("SELECT redrive_count, attempt FROM outcomes WHERE result IS NOT NULL")
    } == {(1, 1)}
    assert set(system.mock.stats("?tokens=true")["calls_by_token"].values()) == {2}

    for redrives in (1, 2, 3):
        assert (await dlq(system, "redrive", "--all", folder=tmp_path)).stdout == b"redrive done: 1 of 1 sent again\n"

        async def failed_again(redrives: int = redrives) -> None:
            (row,) = await system.rows("SELECT state::text, redrive_count FROM dead_letters")
            assert tuple(row) == ("open", redrives)

        await eventually(failed_again, timeout_seconds=20)
    refused = (await dlq(system, "redrive", "--all", folder=tmp_path)).stdout.decode()
    assert "nothing to redrive (1 were redriven 3 times or more: see --max-redrives)" in refused
    dropped = await dlq(system, "drop", "--all", "--yes", folder=tmp_path)
    assert dropped.stdout == b"drop done: 1 of 1 deleted\n"
    assert await system.rows("SELECT 1 FROM dead_letters") == []
    assert await system.count("dead_lettered") == 1
    assert len(await system.rows("SELECT 1 FROM outcomes")) == 31
    listed = (await dlq(system, "operations", "--json", folder=tmp_path)).stdout.splitlines()
    assert [json.loads(line)["action"] for line in listed] == ["drop", *["redrive"] * 4]
    await worker.terminate()


async def test_any_bytes_come_out_as_they_came(system: System, tmp_path: Path) -> None:
    """Redriven and exported: value, key and foreign headers, nulls and repeats included, to the partition they came from."""
    source = random.Random(SEED)

    def some(limit: int) -> bytes | None:
        return source.choice((None, b"", source.randbytes(source.randrange(limit))))

    sent = [
        Bytes(
            some(40), some(3_000), tuple((source.choice(("a", "b", "\u00e9")), some(30)) for _ in range(source.randrange(4)))
        )
        for _ in range(200)
    ]
    ids = await store_dead_letters(system, sent)
    lines = [json.loads(line) for line in (await dlq(system, "export", folder=tmp_path)).stdout.splitlines()]
    assert {line["record_id"]: line["payload_base64"] and base64.b64decode(line["payload_base64"]) for line in lines} == {
        str(record_id): one.value or (one.value if one.value is None else "")
        for record_id, one in zip(ids, sent, strict=True)
    }
    await (await _redriver(system, EVERYTHING)).run()
    found = {UUID(one.ours["record-id"]): one for one in await read_topic(system)}
    assert {record_id: one.sent for record_id, one in found.items()} == dict(zip(ids, sent, strict=True))
    assert [found[record_id].partition for record_id in ids] == [number % system.partitions for number in range(len(ids))]
    assert {one.ours["redrive-count"] for one in found.values()} == {"1"}


async def test_two_operators_share_no_record(system: System) -> None:
    """Overlapping filters at the same time: each record is sent once, and the counts add up."""
    await store_dead_letters(system, [Bytes(None, b"%d" % number) for number in range(3_000)])
    first, second = await _redriver(system, EVERYTHING), await _redriver(system, Filter(text="http"))
    await asyncio.gather(first.run(), second.run())
    assert set(times_sent(await read_topic(system)).values()) == {1}
    counts = await system.rows("SELECT produced, status FROM operations")
    assert sum(row["produced"] for row in counts) == 3_000
    assert {row["status"] for row in counts} == {"done"}
    assert min(row["produced"] for row in counts) > 0


async def test_a_killed_redrive_is_resumed_by_another(system: System, tmp_path: Path) -> None:
    """Kill -9 half way: nothing is lost, every record is counted once, at most the batch in hand has a second copy."""
    await store_dead_letters(system, [Bytes(None, b"%d" % number) for number in range(300)])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infra.cli", "dlq", "redrive", "--all", "--rate", "100",
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), **system.environment},
        stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def half_way() -> None:
        assert [row["produced"] >= 100 for row in await system.rows("SELECT produced FROM operations")] == [True]

    await eventually(half_way, timeout_seconds=30)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    ((operation_id,),) = await system.rows("SELECT id FROM operations")
    async with dead_letter_tables(system.database) as fetch:
        assert await resume(fetch, operation_id, holder=new_holder()) is None  # its lease still runs
        await system.rows("UPDATE operations SET lease_until = now()")  # 10 s go by
        taken = await take_over(fetch, holder=new_holder())
        assert taken is not None
        await Redriver(kafka_settings(system), system.database, taken).run()
        ended = await find(fetch, operation_id)
    assert ended is not None
    assert (ended.status, ended.selected, ended.produced, ended.refused) == ("done", 300, 300, 0)
    copies = times_sent(await read_topic(system))
    assert len(copies) == 300
    assert sum(copies.values()) <= 300 + 100
    assert await system.rows("SELECT 1 FROM dead_letters WHERE state <> 'redriven'") == []


async def test_a_stopped_redrive_ends_after_the_batch_and_goes_on(system: System) -> None:
    """Nothing is left `redriving`; resumed, it does the rest and no more."""
    await store_dead_letters(system, [Bytes(None, b"%d" % number) for number in range(150)])
    redriver = await _redriver(system, EVERYTHING, rate=50)
    running = asyncio.create_task(redriver.run())

    async def some_are_taken() -> None:
        assert [row["produced"] > 0 for row in await system.rows("SELECT produced FROM operations")] == [True]

    await eventually(some_are_taken, timeout_seconds=20)
    redriver.stop_soon("a test")
    await running
    ((operation_id, status, produced),) = await system.rows("SELECT id, status, produced FROM operations")
    assert (redriver.status, status) == ("stopped", "stopped")
    assert len(await read_topic(system)) == produced
    assert 0 < produced < 150
    assert await system.rows("SELECT 1 FROM dead_letters WHERE state = 'redriving'") == []
    async with dead_letter_tables(system.database) as fetch:
        again = await resume(fetch, operation_id, holder=new_holder())
    assert again is not None
    await Redriver(kafka_settings(system), system.database, again).run()
    copies = times_sent(await read_topic(system))
    assert (len(copies), set(copies.values())) == (150, {1})


async def test_what_the_topic_refuses_for_its_size_is_a_dead_letter_again(system: System) -> None:
    """With the reason before the old one; the others of its batch are sent, once."""
    sizes = [5_000 if number == 7 else 10 for number in range(30)]
    async with set_otherwise(system.kafka, system.topic, {"max.message.bytes": "3000"}):
        ids = await store_dead_letters(system, [Bytes(None, random.Random(SEED).randbytes(size)) for size in sizes])
        await (await _redriver(system, EVERYTHING)).run()
    ((status, produced, refused),) = await system.rows("SELECT status, produced, refused FROM operations")
    assert (status, produced, refused) == ("done", 29, 1)
    ((record_id, why),) = await system.rows("SELECT record_id, error_message FROM dead_letters WHERE state = 'open'")
    assert (str(record_id), why) == (str(ids[7]), f"{TOO_LARGE}; before: HTTP 404")
    assert await system.count("dead_lettered") == 1
    assert times_sent(await read_topic(system)) == {str(each): 1 for each in ids if each != ids[7]}
