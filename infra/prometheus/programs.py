"""The programs `prometheus` and `promtool`: those of the machine, else the distribution's package, unpacked, not installed.

No package index that pip, npm or Maven speak to has a Prometheus, so it is apt's: it verifies the package by the signed
lists of the distribution, and the package is unpacked into the user's cache folder, without root and beside whatever is
installed. The version is the distribution's choice (Debian 12: 2.42, Debian 13: 2.53): one pinned here would be gone from
the mirrors with the next security update. Any of it may be deleted at any time.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.artifacts import Progress, cache_folder
from infra.local.errors import LocalStackError

APT_SECONDS: Final = 300
UNPACK_SECONDS: Final = 120
PACKAGES: Final = ("prometheus", "promtool")
"""Debian 12 and Ubuntu have promtool in the package prometheus, later Debians beside it."""
HOW_TO_GET_ONE: Final = (
    "Tests and benchmarks of the metrics need a real Prometheus: put `prometheus` and `promtool` on the PATH "
    "(Debian, Ubuntu: apt-get install prometheus; macOS: brew install prometheus)."
)


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of the two programs."""

    prometheus: Path
    promtool: Path


def find_programs(*, fallback: Path, progress: Progress) -> Programs:
    """Return the programs, bringing them where they are missing. Safe to call twice and in parallel.

    `fallback` takes the place of the user's cache folder where that cannot be written. Blocks for the download (19 MB or
    more; 95 MB unpacked).

    Raises:
        LocalStackError: there is neither a Prometheus nor an apt that has one; the text says what to install.

    """
    installed = [shutil.which(name) for name in PACKAGES]
    if all(installed):
        return Programs(*(Path(str(path)) for path in installed))
    folder = cache_folder(fallback) / "prometheus-deb"
    programs = Programs(*(folder / "usr" / "bin" / name for name in PACKAGES))
    if not folder.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise LocalStackError(HOW_TO_GET_ONE)
        progress("downloading Prometheus")
        _bring(folder)
    return programs


def _bring(folder: Path) -> None:
    """Unpack the packages beside `folder`, then rename: the folder is always a whole one."""
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as name:
        scratch = Path(name)
        root = scratch / "root"
        for package in PACKAGES:
            if not (root / "usr" / "bin" / package).exists():
                _run(("dpkg", "-x", str(_download(package, scratch)), str(root)), scratch, seconds=UNPACK_SECONDS)
        try:
            root.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise


def _download(package: str, scratch: Path) -> Path:
    """Download a package by the lists of this machine; by fresh ones of our own where they lack it or are out of date."""
    download = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package)
    try:
        _run(download, scratch, seconds=APT_SECONDS)
    except LocalStackError:
        lists = _own_lists(scratch)
        _run((download[0], *lists, "-q", "update"), scratch, seconds=APT_SECONDS)
        _run((download[0], *lists, *download[1:]), scratch, seconds=APT_SECONDS)
    (found,) = scratch.glob(f"{package}_*.deb")
    return found


def _own_lists(scratch: Path) -> tuple[str, ...]:
    """Options of apt-get for lists in a folder of ours, which need no root; sources and keys stay the machine's."""
    for needed in ("lists/partial", "cache/archives/partial"):
        (scratch / needed).mkdir(parents=True, exist_ok=True)
    options = {"State::lists": scratch / "lists", "Cache": scratch / "cache", "State::status": "/dev/null"}
    return tuple(word for name, value in options.items() for word in ("-o", f"Dir::{name}={value}"))


def _run(argv: Sequence[str], cwd: Path, *, seconds: float) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - programs of the operating system
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{argv[0]} did not end within {seconds:g} s. {HOW_TO_GET_ONE}"
        raise LocalStackError(msg) from error
    if done.returncode != 0:
        last = " ".join(done.stdout.split()[-40:])
        msg = f"{argv[0]} cannot bring Prometheus ({last}). {HOW_TO_GET_ONE}"
        raise LocalStackError(msg)
