import subprocess
import sys
from pathlib import Path

import pytest

from infra.lint.__main__ import main
from infra.lint.check import ROOT, check_all, read_sources

BAD = "import time\ntime.sleep(1)\n"


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - our words


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one known file, one new one, one ignored one and one picture."""
    assert _run("git", "init", "-q", cwd=tmp_path).returncode == 0
    (tmp_path / ".gitignore").write_text("build/\n")
    for name in ("tests/test_known.py", "tests/test new.py", "build/tests/test_built.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(BAD)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    assert _run("git", "add", ".gitignore", "tests/test_known.py", cwd=tmp_path).returncode == 0
    return tmp_path


def test_what_git_knows_or_would_know_is_checked(checkout: Path) -> None:
    """New files too, before they are committed; what is ignored and what is no text, not."""
    assert [finding.path for finding in check_all(read_sources(checkout))] == ["tests/test new.py", "tests/test_known.py"]


def test_paths_limit_what_is_checked(checkout: Path) -> None:
    """A file or a folder."""
    assert [source.path for source in read_sources(checkout, [checkout / "tests/test_known.py"])] == ["tests/test_known.py"]
    assert len(list(read_sources(checkout, [checkout / "tests"]))) == 2


def test_a_deleted_file_is_passed_over(checkout: Path) -> None:
    """Git lists it until the deletion is committed."""
    (checkout / "tests/test_known.py").unlink()
    assert "tests/test_known.py" not in {source.path for source in read_sources(checkout)}


def test_the_command_prints_what_it_finds_and_fails(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a finding, exit code 1."""
    assert main([str(checkout / "tests")], checkout) == 1
    places = [line.split(": ")[:2] for line in capsys.readouterr().out.splitlines()]
    assert places == [["tests/test new.py:2", "sleep-in-test"], ["tests/test_known.py:2", "sleep-in-test"]]


def test_the_command_is_silent_where_all_is_well_and_says_what_it_cannot_read(tmp_path: Path) -> None:
    """Exit code 0 for what is clean, 2 for what is not in the checkout."""
    clean = _run(sys.executable, "-m", "infra.lint", str(ROOT / "infra/lint"), cwd=ROOT)
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")
    outside = _run(sys.executable, "-m", "infra.lint", str(tmp_path), cwd=ROOT)
    assert outside.returncode == 2
    assert "cannot be listed" in outside.stderr
