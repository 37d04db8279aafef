"""Every setting stands in `.env.example` and in the README's table, by name and default, and the example can be used."""

import ast
import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from infra.lint.settings_table import (
    ROOT,
    Setting,
    all_settings,
    env_example,
    settings_classes,
    table,
    variables,
    written,
)
from tests.support.users_env import USERS_BLOCK

CLASSES = settings_classes()
SETTINGS = all_settings(CLASSES)
EXAMPLE = ROOT / ".env.example"
REMAKE = "run `python -m infra.lint.settings_table --env > .env.example`"
PASTE = "run `python -m infra.lint.settings_table` and paste the table into README.md"

by_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: str(cls.__name__))


@pytest.fixture(autouse=True)
def _no_variable_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)


def _load(cls: type[BaseSettings], path: Path | None) -> dict[str, object]:
    return cls(_env_file=path).model_dump()


def test_the_settings_of_every_room_are_found() -> None:
    """The classes of the processes are there: what follows would pass with none of them."""
    assert {"KafkaSettings", "ApiSettings", "WorkerSettings", "MockApiSettings", "LocalSettings"} <= {
        cls.__name__ for cls in CLASSES
    }
    assert {"KAFKA_BOOTSTRAP_SERVERS", "WORKER_CONCURRENCY", "MOCK_API_PORT"} <= {setting.name for setting in SETTINGS}


def test_settings_classes_stand_in_a_settings_module() -> None:
    """Elsewhere nobody would look for one, and this file would not find it."""
    bases = {"BaseSettings", *(cls.__name__ for cls in CLASSES)}
    strays = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for room in ("topics", "producer_api", "consumers", "mock_api", "infra")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "settings.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id in bases for base in node.bases)
    ]
    assert strays == []


def test_the_example_is_made_from_the_classes() -> None:
    """Names, defaults and meanings are those of the code."""
    assert EXAMPLE.read_text("utf-8") == env_example(SETTINGS), REMAKE


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_example_names_each_setting_once_with_its_default(setting: Setting) -> None:
    """As `NAME=default`, in a comment or not."""
    values = re.findall(rf"^(?:# )?{setting.name}=(.*?)\s*(?:  #.*)?$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert values == [setting.default], REMAKE


def test_the_example_names_nothing_else() -> None:
    """A setting that is gone is gone from it too."""
    names = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    assert names - {setting.name for setting in SETTINGS} == set()


@by_class
def test_every_setting_says_what_it_means(cls: type[BaseSettings]) -> None:
    """One sentence that ends."""
    unclear = [name for name, field in variables(cls).items() if not (field.description or "").endswith(".")]
    assert unclear == []


def test_a_variable_has_one_default_in_all_processes() -> None:
    """Two processes with different ideas of a default would not find each other; only the stack may know none."""
    defaults: dict[str, set[str]] = {}
    for cls in CLASSES:
        for name, field in variables(cls).items():
            defaults.setdefault(name, set()).add(written(field.default))
    assert {name: values for name, values in defaults.items() if len(values - {""}) > 1} == {}


def test_the_readme_has_the_table() -> None:
    """Row by row, in this order."""
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert [row for row in table(SETTINGS).splitlines() if row not in readme] == [], PASTE


def test_the_readme_has_no_row_of_a_setting_that_is_gone() -> None:
    """Every row of it that begins with a variable is a row of the table."""
    rows = re.findall(r"^\| `[A-Z][A-Z0-9_]+` \|.*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert rows
    assert [row for row in rows if row not in table(SETTINGS).splitlines()] == [], PASTE


@by_class
def test_the_example_is_a_usable_env_file(cls: type[BaseSettings]) -> None:
    """Copied to .env as it is, it changes nothing."""
    assert _load(cls, EXAMPLE) == _load(cls, None)


@by_class
def test_every_default_can_be_written_down(cls: type[BaseSettings], tmp_path: Path) -> None:
    """With every comment sign removed the example still loads, and each value is read as what it was written from."""
    lines = re.sub(r"^# ([A-Z][A-Z0-9_]*=)", r"\1", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(lines)
    loaded, default = _load(cls, tmp_path / ".env"), _load(cls, None)
    assert {name: value for name, value in loaded.items() if default[name] is not None} == {
        name: value for name, value in default.items() if value is not None
    }


@by_class
def test_the_users_own_block_works_as_pasted(cls: type[BaseSettings], tmp_path: Path) -> None:
    """Comments behind values, tabs and trailing spaces, with the line ends of either system."""
    for ends in ("\n", "\r\n"):
        (tmp_path / ".env").write_bytes(USERS_BLOCK.replace("\n", ends).encode())
        loaded = _load(cls, tmp_path / ".env")
        expected = {"worker_concurrency": 50, "queue_batch_size": 100, "max_retries": 3, "retry_delay_minutes": 5}
        assert {name: loaded[name] for name in expected if name in loaded} == {
            name: value for name, value in expected.items() if name in loaded
        }
        assert loaded == _load(cls, None)
