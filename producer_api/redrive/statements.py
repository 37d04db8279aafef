"""The statements of this package, by the names of their files; the line `-- filter` stands for match_filter.sql."""

from functools import cache
from pathlib import Path
from typing import Final

SQL: Final = Path(__file__).parent / "sql"


@cache
def sql(name: str) -> str:
    """Return a statement."""
    return (SQL / f"{name}.sql").read_text().replace("-- filter\n", (SQL / "match_filter.sql").read_text())
