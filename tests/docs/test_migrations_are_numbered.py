"""Migrations are applied in the order of their numbers, which leave no doubt."""

import re

from infra.lint.check import ROOT

MIGRATIONS = sorted(path.name for path in (ROOT / "infra/postgres/migrations").iterdir())


def test_migrations_are_numbered_from_one_without_gap_or_repetition() -> None:
    """Two branches that add the same number are seen here and not in production."""
    assert [int(name[:4]) for name in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    assert len(MIGRATIONS) >= 2


def test_there_is_nothing_else_between_them() -> None:
    """A file of another name would not be applied."""
    assert [name for name in MIGRATIONS if not re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name)] == []
