from pathlib import Path

from consumers.cli import too_few_ports
from consumers.settings import WorkerSettings
from tests.support.processes import python

LIMITED = """
import resource, sys
soft, hard, concurrency, batch_url = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (int(soft), int(hard)))
from consumers.cli import raise_file_limit
from consumers.settings import WorkerSettings
from topics.settings import SettingsError
try:
    raise_file_limit(WorkerSettings(worker_concurrency=int(concurrency), provider_batch_url=batch_url or None))
except SettingsError as error:
    print(error)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def _limited(folder: Path, *, soft: int, hard: int, concurrency: int, batch_url: str = "") -> list[str]:
    """Run in a process of its own, since a hard limit cannot be raised again; its lines."""
    with python(LIMITED, str(soft), str(hard), str(concurrency), batch_url, cwd=folder) as process:
        printed, _ = process.communicate(timeout=30)
    return printed.splitlines()


def test_the_soft_limit_of_open_files_rises_to_the_hard_one(tmp_path: Path) -> None:
    """10 x 100 calls need 1,100 files; connections that are closing may take more."""
    assert _limited(tmp_path, soft=256, hard=5_000, concurrency=10) == ["5000"]


def test_more_calls_than_open_files_end_the_start_with_a_sentence(tmp_path: Path) -> None:
    """It names the settings, the need, the limit and both remedies."""
    sentence, _ = _limited(tmp_path, soft=256, hard=1_000, concurrency=10)
    assert sentence.startswith("WORKER_CONCURRENCY x QUEUE_BATCH_SIZE = 1000 calls need 1100 open files")
    assert "1000: lower WORKER_CONCURRENCY, or raise the limit (ulimit -Hn)." in sentence


def test_a_batch_is_one_connection(tmp_path: Path) -> None:
    """100 x 100 ids at a batch endpoint need 100 files, not 10,000."""
    assert _limited(tmp_path, soft=256, hard=1_000, concurrency=100, batch_url="http://api.example/scores") == ["1000"]


def test_more_calls_than_local_ports_are_said_at_the_start() -> None:
    """28,232 connections to one address on a Linux as it comes; a batch is one connection."""
    plain = WorkerSettings(worker_concurrency=300)
    assert "calls, and this machine opens at most 28232 connections" in (too_few_ports(plain, "32768\t60999\n") or "")
    assert too_few_ports(WorkerSettings(worker_concurrency=282), "32768\t60999\n") is None
    assert too_few_ports(plain.model_copy(update={"provider_batch_url": "http://api.example/"}), "32768 60999") is None
