"""Makes the world of a scenario and takes it down again: topics, group, database and mock API of its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.support import services
from tests.support.mock_processes import running_mock_api
from tests.support.servers import Place
from tests.support.system import running_system
from tests.support.world import Size, World

LATENCY: Final = {"latency_min_seconds": 0.5, "latency_max_seconds": 2.0}
"""Many calls are in flight at any moment, and end out of order."""


@asynccontextmanager
async def running_world(place: Place, *, scenario: str, seed: int, size: Size, folder: Path) -> AsyncIterator[World]:
    """Make topics, group, database and mock API for one scenario; when the block ends, nothing of it runs any more."""
    if place.servers is not None:
        await asyncio.to_thread(place.servers.heal)
    name = await services.clone_database(place.database_server, place.template)
    database = services.with_database(place.database_server, name)
    topic = f"failure-{uuid.uuid4().hex[:12]}"
    with running_mock_api(folder) as mock:
        mock.behave(**LATENCY, seed=seed)
        async with running_system(
            kafka=place.kafka, database=database, topic_base=topic, mock=mock, folder=folder
        ) as system:
            world = World(system, place.servers, scenario=scenario, seed=seed, size=size)
            try:
                yield world
            finally:
                await world.leave()
                await asyncio.to_thread(_clean_up, place, name)


def _clean_up(place: Place, database: str) -> None:
    if place.servers is not None:
        place.servers.heal()
    services.run_apart(lambda: services.drop_database(place.database_server, database))
