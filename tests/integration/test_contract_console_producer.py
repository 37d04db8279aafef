"""kafka-console-producer, the real one: what a file of lines holds arrives as it is, key and headers where asked for."""

import asyncio
import os
import subprocess
import sys
from collections import Counter

from tests.support.corpus import lines
from tests.support.processes import ROOT
from tests.support.system import System

TOOL_SECONDS = 60
GOOD = 2_000


async def test_every_line_of_the_corpus_has_one_outcome_and_its_bytes_survive(system: System) -> None:
    """Nasty lines among good ones: counts by kind equal what was sent, and so do the bytes of those that are malformed."""
    cases = lines()
    good = [f"good-{number}".encode() for number in range(GOOD)]
    values = [case.value or b"" for case in cases]
    worker = system.start_worker()
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-P", "-m", "infra.cli", "kafka", "console-producer", "--topic", system.topic],
        env={**os.environ, **system.environment, "PYTHONPATH": str(ROOT)},
        input=b"".join(line + b"\n" for line in [*good[:1_000], *values, *good[1_000:]]),
        check=True,
        timeout=TOOL_SECONDS,
    )
    malformed = Counter(case.value for case in cases if case.token is None)
    expected = Counter(case.token for case in cases if case.token is not None) + Counter(map(bytes.decode, good))
    assert malformed.total() > 20 < expected.total() - GOOD
    await worker.ready()
    await system.wait_for(malformed.total(), "dead_lettered")
    await system.wait_for(expected.total())

    rows = await system.rows("SELECT token FROM outcomes WHERE outcome = 'succeeded'")
    assert Counter(row["token"] for row in rows) == expected
    letters = await system.rows("SELECT payload, error_kind FROM dead_letters")
    assert Counter(letter["payload"] for letter in letters) == malformed
    assert {letter["error_kind"] for letter in letters} == {"malformed"}
    await system.drained()
    await worker.terminate()
