"""Make a virtual environment from a lock file, or bring one up to it: `install.py LOCK FOLDER`.

Runs on the machine's own Python before anything is installed, so it uses the standard library alone. FOLDER/installed/
holds a copy of each lock that was installed to its end, of pyproject.toml, and the folder's own path: a stamp is written
last, so a run that was cut off is simply done again, and a checkout that was copied or moved gets an environment of its
own instead of the scripts and the editable install of the old place.
"""

# ruff: noqa: INP001 - a script: it runs before any package of ours can be imported
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import IO, Final

HERE: Final = Path(__file__).resolve().parent
PROJECT: Final = HERE.parent.parent
# These would send an install elsewhere than into the environment. The index and the certificates stay the user's.
MISLEADING: Final = (
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_QUIET",
    "PIP_VERBOSE",
    "PYTHONPATH",
    "PYTHONHOME",
    "__PYVENV_LAUNCHER__",
)


def main() -> int:
    """Install under a lock, so that two makes in one checkout wait for each other; 0, or 1 after one sentence."""
    lock, folder = HERE / f"{sys.argv[1]}.lock", PROJECT / sys.argv[2]
    missing = [module for module in ("ensurepip", "venv") if importlib.util.find_spec(module) is None]
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        lacking = " and no ".join(missing)
        say(f"Python {version} ({sys.executable}) has no {lacking}: sudo apt-get install python{version}-venv")
        return 1
    with Path(__file__).open(encoding="utf-8") as held:
        wait_for_turn(held)
        if is_installed(lock, folder):
            return 0
        return install(lock, folder)


def wait_for_turn(held: IO[str]) -> None:
    """Take the lock that every install of this checkout takes; it ends with the process, however that ends."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another make installs packages in this folder: waiting for it")
        fcntl.flock(held, fcntl.LOCK_EX)


def is_installed(lock: Path, folder: Path) -> bool:
    """Tell whether the environment stands, belongs to this folder, and has what the lock and pyproject.toml name."""
    return is_ours(folder) and is_same(lock, stamp(folder, lock.name)) and has_project(folder)


def is_ours(folder: Path) -> bool:
    """Tell whether the environment was made for this path and its Python still runs."""
    place = stamp(folder, "folder")
    if not place.exists() or place.read_text(encoding="utf-8").strip() != str(PROJECT):
        return False
    try:
        return subprocess.run([python_of(folder), "-c", ""], check=False, capture_output=True).returncode == 0  # noqa: S603 - our own interpreter
    except OSError:
        return False


def install(lock: Path, folder: Path) -> int:
    """Do what is missing, in order, each step marked when it is done; the exit code of the first that fails."""
    if not is_ours(folder):
        make_environment(folder)
    if not is_same(lock, stamp(folder, lock.name)):
        count = sum("==" in line for line in lock.read_text(encoding="utf-8").splitlines())
        say(f"installing {count} packages of {lock.relative_to(PROJECT)} into {folder.name} (the first time takes a minute)")
        if code := pip(folder, "install", "--require-hashes", "--requirement", str(lock)):
            return code
        shutil.copyfile(lock, stamp(folder, lock.name))
    if not has_project(folder):
        if code := pip(folder, "install", "--no-deps", "--no-build-isolation", "--editable", str(PROJECT)):
            return code
        shutil.copyfile(PROJECT / "pyproject.toml", stamp(folder, "pyproject.toml"))
    return 0


def make_environment(folder: Path) -> None:
    """Make an empty environment with pip, in place of whatever stood there."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True, symlinks=True)
    (folder / "installed").mkdir()
    stamp(folder, "folder").write_text(f"{PROJECT}\n", encoding="utf-8")


def pip(folder: Path, *arguments: str) -> int:
    """Run the environment's pip, silent but for errors, and say what failed."""
    environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    quiet = ("-qq", "--disable-pip-version-check", "--no-input")
    command = [python_of(folder), "-m", "pip", *quiet, *arguments, "--no-warn-script-location", "--root-user-action=ignore"]
    code = subprocess.run(command, check=False, env=environment, cwd=PROJECT).returncode  # noqa: S603 - our own interpreter
    if code:
        say(f"pip {arguments[0]} failed with exit code {code}: what it said stands above; run the same make again to go on")
    return code


def has_project(folder: Path) -> bool:
    """Tell whether this checkout is installed, as pyproject.toml now describes it."""
    return is_same(PROJECT / "pyproject.toml", stamp(folder, "pyproject.toml"))


def is_same(one: Path, other: Path) -> bool:
    """Compare two files by content; a missing one equals nothing."""
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def stamp(folder: Path, name: str) -> Path:
    """Name the file that marks a finished step."""
    return folder / "installed" / name


def python_of(folder: Path) -> str:
    """Name the environment's interpreter."""
    return str(folder / "bin" / "python")


def say(sentence: str) -> None:
    """Print one line for people, at once and in order with pip's own."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - a command's screen


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("stopped; run the same make again to go on")
        sys.exit(130)
