from pathlib import Path

import pytest

from infra.local.postgres import LocalPostgres
from infra.postgres.migrate import connect, migrate, read_migrations
from tests.support import services
from tests.support.mock_processes import MockProcess
from tests.support.system import running_system
from tests.support.waiting import eventually


@pytest.fixture
def own_postgres(tmp_path: Path) -> LocalPostgres:
    """A database server that this test may stop."""
    server = services.started(lambda: services.make_postgres(tmp_path))
    services.run_apart(lambda: _migrated(server.database_url))
    return server


async def _migrated(url: str) -> None:
    connection = await connect(url, patience_seconds=services.PATIENCE_SECONDS)
    try:
        await migrate(connection, read_migrations())
    finally:
        await connection.close()


async def test_answers_outlive_an_outage_of_the_database_and_are_not_paid_for_again(
    kafka: str, own_postgres: LocalPostgres, topic_base: str, mock_process: MockProcess, tmp_path: Path
) -> None:
    """A worker whose database is away for a while keeps its answers, commits nothing, and stores them later."""
    tokens = [f"t{number}" for number in range(600)]
    mock_process.behave(latency_min_seconds=0.5, latency_max_seconds=1)
    try:
        async with running_system(
            kafka=kafka,
            database=own_postgres.database_url,
            topic_base=topic_base,
            mock=mock_process,
            folder=tmp_path,
        ) as system:
            await system.produce(token.encode() for token in tokens)
            worker = system.start_worker()
            await worker.ready()

            def calls_run() -> None:
                assert mock_process.stats()["in_flight"] > 50

            await eventually(calls_run, timeout_seconds=10)
            own_postgres.stop()

            async def answers_wait() -> None:
                assert worker.process.poll() is None, worker.log
                _, text = await worker.get("/status")
                assert '"calling": 0' in text, text

            await eventually(answers_wait, timeout_seconds=15)
            own_postgres.start()
            own_postgres.wait_ready()

            await system.wait_for(len(tokens))
            await system.assert_promise(tokens)
            await worker.terminate()
    finally:
        own_postgres.stop()
