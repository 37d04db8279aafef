"""Where a Prometheus comes from, with the real apt-get and dpkg, on a package repository of the test's own."""

import hashlib
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local.errors import LocalStackError
from infra.prometheus.programs import Programs, find_programs

HAS_APT = shutil.which("apt-get") is not None
APT_CONFIG = """\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{folder}/no-lists";
"""


def find(folder: Path) -> Programs:
    """Find the programs, without a word."""
    return find_programs(fallback=folder / "fallback", progress=lambda _: None)


def make_program(path: Path) -> None:
    """Write a program that does nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def make_package(repository: Path, name: str, *programs: str) -> str:
    """Build a package of these programs; return its entry in the list of packages."""
    root = repository / "build" / name
    for program in programs:
        make_program(root / "usr" / "bin" / program)
    control = f"Package: {name}\nVersion: 2.0\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: test\n"
    (root / "DEBIAN").mkdir(mode=0o755)
    (root / "DEBIAN" / "control").write_text(control)
    path = repository / f"{name}_2.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(path)], check=True, capture_output=True, timeout=30)  # noqa: S603, S607 - as installed
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{control}Filename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache folder and a package source, of which no list was ever fetched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repository = tmp_path / "repository"
    repository.mkdir()
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    (tmp_path / "apt.conf").write_text(APT_CONFIG.format(folder=tmp_path))
    (tmp_path / "no-lists" / "partial").mkdir(parents=True)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return tmp_path


@pytest.mark.parametrize("in_one", [True, False], ids=["promtool in the package", "promtool in a package of its own"])
def test_the_distributions_packages_are_unpacked_once(
    machine: Path, monkeypatch: pytest.MonkeyPatch, *, in_one: bool
) -> None:
    """Without lists, without root's folders, by four at the same time; a second search asks nobody."""
    monkeypatch.setenv("PATH", str(only(machine, "apt-get", "dpkg", "dpkg-deb", "tar")))
    if not HAS_APT:
        with pytest.raises(LocalStackError, match="brew install prometheus"):
            find(machine)
        return
    repository = machine / "repository"
    programs = ("prometheus", "promtool")
    packages = [("prometheus", *programs)] if in_one else [(name, name) for name in programs]
    (repository / "Packages").write_text("".join(make_package(repository, *each) for each in packages))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: find(machine), range(4)))
    assert len(set(found)) == 1
    assert found[0].prometheus.is_relative_to(machine / "cache")
    for program in (found[0].prometheus, found[0].promtool):
        assert program.read_text() == "#!/bin/sh\n"
    assert [path.name for path in (machine / "cache" / "tokenflow").iterdir()] == ["prometheus-deb"]
    shutil.rmtree(repository)
    assert find(machine) == found[0]


def test_an_installed_one_is_used(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both programs are on the PATH: nothing is downloaded."""
    for name in ("prometheus", "promtool"):
        make_program(machine / "bin" / name)
    monkeypatch.setenv("PATH", str(machine / "bin"))
    assert find(machine) == Programs(machine / "bin" / "prometheus", machine / "bin" / "promtool")


def test_a_source_without_it_is_one_sentence(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what was tried and what to install."""
    monkeypatch.setenv("PATH", str(only(machine, "apt-get", "dpkg")))
    (machine / "repository" / "Packages").write_text("")
    with pytest.raises(LocalStackError, match=r"need a real Prometheus: put `prometheus` and `promtool` on the PATH"):
        find(machine)


def only(machine: Path, *names: str) -> Path:
    """Make a folder in which the PATH finds these programs of the machine, as far as it has them, and no others."""
    folder = machine / "path"
    folder.mkdir()
    for name in names:
        path = shutil.which(name)
        if path is not None:
            (folder / name).symlink_to(path)
    return folder
