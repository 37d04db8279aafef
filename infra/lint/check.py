"""Applies the rules to files. Pure but for `read_sources`."""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from infra.lint import python_rules, text_rules
from infra.lint.source import Finding, Rule, Source

ROOT: Final = Path(__file__).parents[2]
PYTHON_RULES: Final[dict[str, Rule]] = {
    "sleep-in-test": python_rules.sleep_in_test,
    "environment-read": python_rules.environment_read,
    "metric-outside-catalogue": python_rules.metric_outside_catalogue,
    "broad-except": python_rules.broad_except,
    "dropped-task": python_rules.dropped_task,
    "skip-in-test": python_rules.skip_in_test,
    "long-file": python_rules.long_file,
}
TEXT_RULES: Final[dict[str, Rule]] = {
    "non-ascii": text_rules.non_ascii,
    "sql-name": text_rules.sql_name,
    "sql-comment": text_rules.sql_comment,
    "lock-url": text_rules.lock_url,
    "machine-path": text_rules.machine_path,
}


def check(source: Source) -> list[Finding]:
    """Return what is wrong with a file, in the order of its lines."""
    try:
        broken = [Finding(source.path, line, rule, sentence) for rule, line, sentence in _broken(source)]
    except SyntaxError as error:
        return [Finding(source.path, error.lineno or 1, "syntax", str(error.msg))]
    escaped = {finding: place for finding in broken if (place := _escape_of(source, finding))}
    findings = [finding for finding in broken if finding not in escaped]
    return sorted(findings + list(_escapes_without_use(source, set(escaped.values()))))


def _broken(source: Source) -> Iterator[tuple[str, int, str]]:
    """Yield rule, line and sentence of every place that breaks a rule; raises SyntaxError."""
    for rule, find in (TEXT_RULES | PYTHON_RULES if source.is_python else TEXT_RULES).items():
        for line, sentence in find(source):
            yield rule, line, sentence


def _escape_of(source: Source, finding: Finding) -> tuple[int, str] | None:
    """Return line and rule of the escape that covers a finding: on its line, or on a comment line above it."""
    for line in (finding.line, finding.line - 1):
        if finding.rule in source.escapes.get(line, ()) and (line == finding.line or source.is_comment_line(line)):
            return line, finding.rule
    return None


def _escapes_without_use(source: Source, used: set[tuple[int, str]]) -> Iterator[Finding]:
    for line in source.bad_escapes() if source.is_python else ():
        yield Finding(source.path, line, "escape", "write `lint: allow <rule> because <reason>`")
    for line, rules in source.escapes.items() if source.is_python else ():
        for rule in sorted(rules):
            if (line, rule) not in used:
                yield Finding(source.path, line, "escape", f"nothing here breaks {rule}: remove the escape")


def read_sources(root: Path, paths: Sequence[Path] = ()) -> Iterator[Source]:
    """Read the text files that git knows or would know, below `paths` or all; what is not UTF-8 is no text."""
    for path in sorted(_files(root, paths)):
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture, or a file that git still lists and that is gone
        yield Source(path.relative_to(root).as_posix(), text)


def check_all(sources: Iterable[Source]) -> list[Finding]:
    """Return what is wrong with all of them."""
    return [finding for source in sources for finding in check(source)]


def _files(root: Path, paths: Sequence[Path]) -> set[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *map(str, paths)]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - our words
    return {root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()}
