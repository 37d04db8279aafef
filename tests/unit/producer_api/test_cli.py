import resource
from pathlib import Path

import pytest

from producer_api.cli import listen
from producer_api.settings import ApiSettings
from tests.support.processes import python
from topics.settings import SettingsError

LIMITED = """
import logging, resource, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
resource.setrlimit(resource.RLIMIT_NOFILE, (256, int(sys.argv[1])))
from producer_api.cli import raise_file_limit
from producer_api.settings import ApiSettings
raise_file_limit(ApiSettings(api_max_waiters=1_000))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def _limited(folder: Path, *, hard: int) -> list[str]:
    """Run in a process of its own, since a hard limit cannot be raised again; its lines."""
    with python(LIMITED, str(hard), cwd=folder) as process:
        printed, _ = process.communicate(timeout=30)
    return printed.splitlines()


def test_a_waiting_get_is_an_open_file_and_the_soft_limit_rises_for_them(tmp_path: Path) -> None:
    """1,024 is what a shell gives; the default allows 10,000 GETs to wait."""
    hard = min(4_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert _limited(tmp_path, hard=hard) == [str(hard)]


def test_fewer_files_than_waiting_gets_are_said_at_the_start(tmp_path: Path) -> None:
    """It serves all the same: the 503 of API_MAX_WAITERS is then out of reach, and connections wait to be accepted."""
    warning, limit = _limited(tmp_path, hard=600)
    assert (limit, "API_MAX_WAITERS=1000" in warning, "ulimit -Hn" in warning) == ("600", True, True)


def test_an_address_that_is_none_is_one_sentence_with_the_reason() -> None:
    """A name that nobody has (RFC 6761)."""
    settings = ApiSettings(bind_address="nowhere.invalid", api_allow_anonymous=True)
    with pytest.raises(SettingsError, match=r"BIND_ADDRESS=nowhere\.invalid .*\((?!Unknown)[A-Z]"):
        listen(settings)
