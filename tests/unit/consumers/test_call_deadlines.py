"""The one timer that serves the deadlines of all calls, on the loop that workers run on."""

import asyncio

import uvloop

from consumers.providers.connection import Connection
from consumers.providers.pool import Deadlines
from tests.support.waiting import eventually


def test_calls_that_are_overdue_when_they_begin_end_like_others() -> None:
    """For what is due now uvloop returns a handle that does not know its time; a call must not fail for that."""

    async def begin_late() -> None:
        now = asyncio.get_running_loop().time()
        deadlines, connections = Deadlines(1), [Connection(), Connection()]
        for connection in connections:
            deadlines.begin(connection, now - 1)

        def all_ended() -> None:
            assert not any(connection.reusable for connection in connections)

        await eventually(all_ended, timeout_seconds=5)
        deadlines.close()

    uvloop.run(begin_late())
