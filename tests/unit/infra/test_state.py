import stat
import threading
from pathlib import Path

import pytest

from infra.local.errors import LocalStackError
from infra.local.state import Addresses, StateFolder

RUNNING = Addresses("127.0.0.1:9092", "postgresql://u:p@127.0.0.1/d", pids={"up": 7}, urls={"api": "http://127.0.0.1:8000"})


def test_addresses_are_read_back_while_the_folder_is_held(tmp_path: Path) -> None:
    """What `up` writes is what `env` reads."""
    state = StateFolder(tmp_path / "state")
    with state.hold():
        assert state.read_addresses() is None
        state.write_addresses(RUNNING)
        assert state.read_addresses() == RUNNING


def test_addresses_hold_a_password_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    """The database URL carries the password."""
    state = StateFolder(tmp_path)
    with state.hold():
        state.write_addresses(RUNNING)
        assert stat.S_IMODE(state.addresses.stat().st_mode) == 0o600


def test_addresses_of_a_stack_that_is_gone_are_not_believed(tmp_path: Path) -> None:
    """A kill -9 leaves the file behind, and the kernel frees the lock."""
    state = StateFolder(tmp_path)
    with state.hold():
        state.write_addresses(RUNNING)
        left_behind = state.addresses.read_text()
    state.addresses.write_text(left_behind)
    assert state.read_addresses() is None


def test_a_second_stack_in_one_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """Two brokers over one data folder would ruin it."""
    state = StateFolder(tmp_path)
    with state.hold(), pytest.raises(LocalStackError, match=r"already runs.*tokenflow down"), StateFolder(tmp_path).hold():
        pass
    assert not state.is_held()


def test_asking_leaves_no_trace(tmp_path: Path) -> None:
    """`tokenflow env` in a folder that never had a stack makes nothing there."""
    state = StateFolder(tmp_path / "absent")
    assert not state.is_held()
    assert state.read_addresses() is None
    assert not state.root.exists()
    state.root.mkdir()
    assert not state.is_held()
    assert list(state.root.iterdir()) == []


def test_whoever_asks_does_not_keep_a_stack_from_starting(tmp_path: Path) -> None:
    """Asking takes the lock for an instant."""
    state = StateFolder(tmp_path)
    with state.hold():
        pass
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            state.is_held()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(2000):
            with state.hold():
                pass
    finally:
        done.set()
        asking.join()


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(LocalStackError, match="cannot be written"), StateFolder(tmp_path / "state").hold():
        pass
