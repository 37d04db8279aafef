"""Apply the numbered `.sql` files to a database, in order, each exactly once.

Every file is applied in a transaction together with its row in `schema_migrations`, under an advisory lock: of two that
migrate at once one waits, and then finds nothing to do. A file that was applied never changes again; what was wrong with
it is mended by the next one.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg

from infra.errors import ExpectedError

MIGRATIONS: Final = Path(__file__).with_name("migrations")
SQL: Final = Path(__file__).with_name("sql")
FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
LOCK_KEY: Final = 0x746F6B656E  # "token" in ASCII: the advisory lock of whoever changes the schema
LOCK_SECONDS: Final = 300.0
"""How long to wait for another migration that runs; one that rewrites a large table takes minutes."""
RETRY_SECONDS: Final = 0.2
CONNECT_SECONDS: Final = 5.0

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class MigrationError(ExpectedError):
    """The database cannot be brought to the schema of these files; one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `NNNN_name.sql`."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of the text, line ends as in the repository: a checkout with CRLF is the same migration."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()


def read_migrations(folder: Path = MIGRATIONS) -> tuple[Migration, ...]:
    """Read the files in the order of their numbers.

    Raises:
        MigrationError: a name that is not `NNNN_name.sql`, or numbers that are not 1, 2, 3, ...

    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            msg = f"{path} is no migration: name it NNNN_what_it_does.sql."
            raise MigrationError(msg)
        found.append(Migration(int(match[1]), match[2], path.read_text()))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        msg = f"The migrations in {folder} are not numbered 0001, 0002, 0003 ...: {[each.version for each in found]}."
        raise MigrationError(msg)
    return tuple(found)


def pending(migrations: Sequence[Migration], applied: Mapping[int, str]) -> tuple[Migration, ...]:
    """Choose what is still to be applied; `applied` maps version -> sha256. Pure.

    Raises:
        MigrationError: the database is newer than the files, or a file changed after it was applied.

    """
    newest = len(migrations)
    unknown = sorted(set(applied) - {migration.version for migration in migrations})
    if unknown:
        msg = f"The database has migration {unknown[-1]:04}, and these files end at {newest:04}: run the newer version."
        raise MigrationError(msg)
    for migration in migrations:
        if applied.get(migration.version, migration.sha256) != migration.sha256:
            msg = (
                f"{migration.version:04}_{migration.name}.sql was changed after it had been applied to this database: "
                f"restore the file, and put the change into a new migration."
            )
            raise MigrationError(msg)
    return tuple(migration for migration in migrations if migration.version not in applied)


async def migrate(connection: Connection, migrations: Sequence[Migration]) -> tuple[Migration, ...]:
    """Bring the database to the schema of these files; return what was applied. Idempotent, and safe to run in parallel.

    Raises:
        MigrationError: see `pending`; or another migration held the lock for `LOCK_SECONDS`.

    """
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY, timeout=LOCK_SECONDS)
    except TimeoutError as error:
        msg = f"Another migration of this database has been running for {LOCK_SECONDS:.0f} s: wait for it, or end it."
        raise MigrationError(msg) from error
    try:
        await connection.execute(read_sql("create_schema_migrations"))
        rows = await connection.fetch(read_sql("select_schema_migrations"))
        todo = pending(migrations, {row["version"]: row["sha256"] for row in rows})
        for migration in todo:
            await _apply(connection, migration)
        return todo
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def connect(database_url: str, *, patience_seconds: float) -> Connection:
    """Connect, waiting up to `patience_seconds` for a database that does not accept connections yet.

    Raises:
        MigrationError: it does not answer in that time, or refuses us; the text never holds the URL's password.

    """
    end = time.monotonic() + patience_seconds
    while True:
        try:
            return await asyncpg.connect(database_url, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
            if time.monotonic() > end:
                reason = str(error) or "no answer in time"
                msg = f"DATABASE_URL: the database cannot be reached ({reason}): start it, or correct the address."
                raise MigrationError(msg) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            msg = f"DATABASE_URL: the database refuses the connection ({error}): correct user, password or database name."
            raise MigrationError(msg) from error
        await asyncio.sleep(RETRY_SECONDS)


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        try:
            await connection.execute(migration.sql)
        except asyncpg.PostgresError as error:
            msg = f"{migration.version:04}_{migration.name}.sql fails on this database: {error}."
            raise MigrationError(msg) from error
        await connection.execute(read_sql("insert_schema_migration"), migration.version, migration.name, migration.sha256)


def read_sql(name: str) -> str:
    """Return a statement of this package, by the name of its file."""
    return (SQL / f"{name}.sql").read_text()
