"""ARCHITECTURE.md's file map and the tree say the same.

The map is the section under the heading "File map". A path in it stands in backticks, or is the first word of a line of a
code block. It is relative to the root; a folder ends in a slash and covers the files directly in it; `*` and `{a,b}` may be
used.
"""

import re
from pathlib import Path

import pytest

from infra.lint.check import ROOT

ROOMS = ("topics", "producer_api", "consumers", "mock_api", "infra", "tests", "scripts", "bench")
SUFFIXES = {".py", ".sql"}
_PATH = re.compile(r"[A-Za-z0-9_.*{},-]+(?:/[A-Za-z0-9_.*{},-]+)*/?")


def _section(text: str) -> str:
    """Return what stands under the heading that contains "File map"."""
    found = re.search(r"^(#+)[^\n]*file map[^\n]*\n(.*?)(?=^#{1,3} |\Z)", text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    assert found is not None, 'ARCHITECTURE.md has no heading "File map"'
    return found[2]


def _named(section: str) -> list[str]:
    """Return the paths that a section names."""
    words = re.findall(r"`([^`\n]+)`", section)
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
        words += [line.split()[0] for line in block.splitlines() if line.strip()]
    return [word for word in words if _PATH.fullmatch(word) and ("/" in word or "." in word)]


def _expanded(path: str) -> list[str]:
    """Return the paths that `{a,b}` stands for."""
    found = re.search(r"\{([^{}]*)\}", path)
    if found is None:
        return [path]
    return [each for word in found[1].split(",") for each in _expanded(path[: found.start()] + word + path[found.end() :])]


def _covered(path: str, root: Path) -> set[Path]:
    """Return the files and folders that a path of the map stands for; empty where there are none."""
    matches = set(root.glob(path.rstrip("/")))
    if path.endswith("/"):
        return {match for match in matches if match.is_dir()} | {each for match in matches for each in match.glob("*")}
    return matches


@pytest.fixture(scope="module")
def named() -> list[str]:
    """The paths of the map."""
    section = _section((ROOT / "ARCHITECTURE.md").read_text("utf-8"))
    return [path for word in _named(section) for path in _expanded(word)]


def test_every_name_in_the_map_exists(named: list[str]) -> None:
    """Whoever follows the map arrives."""
    assert named
    assert [path for path in named if not _covered(path, ROOT)] == []


def test_every_file_of_the_rooms_is_on_the_map(named: list[str]) -> None:
    """By its own name, or by that of the folder that it lies in."""
    covered = {each for path in named for each in _covered(path, ROOT)}
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.suffix in SUFFIXES]
    assert files
    assert [path.relative_to(ROOT).as_posix() for path in files if path not in covered] == []


def test_a_map_is_read_as_its_rules_say(tmp_path: Path) -> None:
    """The reader of the map, on a small one."""
    text = "# A\n## 9. File map\nIn `a/` and `b/{x,y}.py`, `word` and `c/*.sql`.\n```\nd/e.py   what\n```\n## 10. B\n`f/`\n"
    paths = [path for word in _named(_section(text)) for path in _expanded(word)]
    assert paths == ["a/", "b/x.py", "b/y.py", "c/*.sql", "d/e.py"]
    for name in ("a/1.py", "a/deep/2.py", "b/x.py", "c/3.sql"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    covered = [sorted(each.relative_to(tmp_path).as_posix() for each in _covered(path, tmp_path)) for path in paths]
    assert covered == [["a", "a/1.py", "a/deep"], ["b/x.py"], [], ["c/3.sql"], []]
