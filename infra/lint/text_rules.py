"""The house rules about files of any kind, decided line by line."""

import re
from collections.abc import Iterator
from typing import Final

from infra.lint.source import Source

VERBS: Final = (
    "add|adopt|apply|cancel|claim|close|count|create|delete|drop|end|expire|export|extend|find|finish|insert|list|lock"
    "|mark|match|move|notify|open|prune|read|redrive|release|renew|reopen|requeue|reset|resume|select|start|stop|take"
    "|touch|update|upsert"
)
_MIGRATION = re.compile(r"\d{4}_[a-z0-9]+(_[a-z0-9]+)*")
_QUERY = re.compile(rf"({VERBS})(_[a-z0-9]+)+")
_MACHINE_PATH = re.compile(r"(?<![\w.~-])/(root|home|work|Users)/")


def non_ascii(source: Source) -> Iterator[tuple[int, str]]:
    r"""Plain ASCII in code: no look-alike letter, no invisible character; a test writes `\u00e9` where it needs one."""
    if source.name.suffix not in {".py", ".sql"} or source.text.isascii():
        return
    for number, line in enumerate(source.lines, 1):
        for character in line:
            if not character.isascii():
                yield number, f"U+{ord(character):04X} is not ASCII: write it as an escape, or in other words"
                break


def sql_name(source: Source) -> Iterator[tuple[int, str]]:
    """A query is found by what it does: `upsert_outcomes.sql`; a migration by its number: `0001_outcomes.sql`."""
    if source.name.suffix != ".sql":
        return
    stem = source.name.stem
    if source.name.parent.name == "migrations":
        if not _MIGRATION.fullmatch(stem):
            yield 1, "name a migration NNNN_what_it_brings.sql"
    elif not _QUERY.fullmatch(stem):
        yield 1, f"name a query verb_noun.sql, the verb one of {VERBS.replace('|', ', ')}"


def sql_comment(source: Source) -> Iterator[tuple[int, str]]:
    """A query opens with a comment: what it promises, and by which key it is idempotent."""
    if source.name.suffix == ".sql" and not re.match(r"\s*-- \S", source.text):
        yield 1, "begin with a comment that says what it does and by which key it may run twice"


def lock_url(source: Source) -> Iterator[tuple[int, str]]:
    """A lock names packages and hashes, never a host: whoever installs has a registry of their own."""
    if source.name.suffix != ".lock":
        return
    for number, line in enumerate(source.lines, 1):
        if "://" in line:
            yield number, "a lock file carries no URL"


def machine_path(source: Source) -> Iterator[tuple[int, str]]:
    """Nothing in the tree knows the machine that it was written on."""
    for number, line in enumerate(source.lines, 1):
        if _MACHINE_PATH.search(line):
            yield number, "an absolute path of one machine: make it relative, or a setting"
