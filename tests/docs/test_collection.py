"""Every test file runs: none is passed over because of its name, its place or an error of its import."""

import ast
import subprocess
import sys
from pathlib import Path

from infra.lint.check import ROOT

TESTS = ROOT / "tests"


def _defines_a_test(path: Path) -> bool:
    tree = ast.parse(path.read_text("utf-8"))
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_") for node in ast.walk(tree)
    )


def test_every_test_file_is_collected() -> None:
    """What pytest collects and what lies on the disk are the same files."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    collected = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=100)  # noqa: S603 - our words
    assert collected.returncode == 0, collected.stdout[-3000:]
    files = {line.partition("::")[0] for line in collected.stdout.splitlines() if "::" in line}
    assert files == {path.relative_to(ROOT).as_posix() for path in TESTS.rglob("test_*.py")}


def test_every_file_with_a_test_is_named_so_that_it_is_found() -> None:
    """A test in a file of another name would never run."""
    misnamed = [
        path.relative_to(ROOT).as_posix()
        for path in TESTS.rglob("*.py")
        if _defines_a_test(path) and not path.name.startswith("test_")
    ]
    assert misnamed == []
