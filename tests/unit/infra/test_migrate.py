from pathlib import Path

import pytest

from infra.postgres.migrate import Migration, MigrationError, pending, read_migrations

ONE = Migration(1, "outcomes", "CREATE TABLE a ();")
TWO = Migration(2, "groups", "CREATE TABLE b ();")


def test_what_was_applied_is_not_applied_again() -> None:
    """In order, from the first that is missing."""
    assert pending((ONE, TWO), {}) == (ONE, TWO)
    assert pending((ONE, TWO), {1: ONE.sha256}) == (TWO,)
    assert pending((ONE, TWO), {1: ONE.sha256, 2: TWO.sha256}) == ()


def test_a_file_that_changed_after_it_was_applied_is_refused() -> None:
    """The sentence names the file and the way out."""
    with pytest.raises(MigrationError, match=r"0001_outcomes.sql was changed .* new migration"):
        pending((ONE, TWO), {1: "another hash"})


def test_a_database_newer_than_the_files_is_refused() -> None:
    """An old version must not write to a schema it does not know."""
    with pytest.raises(MigrationError, match=r"migration 0003.*newer version"):
        pending((ONE, TWO), {1: ONE.sha256, 2: TWO.sha256, 3: "from the future"})


def test_line_ends_of_a_checkout_do_not_change_a_migration() -> None:
    """Git may write CRLF."""
    assert Migration(1, "a", "x\r\ny\r\n").sha256 == Migration(1, "a", "x\ny\n").sha256


def test_our_own_files_are_numbered_without_gaps() -> None:
    """They are read in the order of their numbers."""
    assert [each.version for each in read_migrations()] == list(range(1, len(read_migrations()) + 1))


@pytest.mark.parametrize("names", [["0002_b.sql"], ["0001_a.sql", "0001_b.sql"], ["1_a.sql"], ["0001-a.sql"]])
def test_files_with_a_gap_a_twin_or_another_name_are_refused(tmp_path: Path, names: list[str]) -> None:
    """Two branches that both add number 7 are found when they meet."""
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError):
        read_migrations(tmp_path)
