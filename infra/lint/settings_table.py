"""The settings of every process, read off their classes: the table of the README, and `.env.example`.

    python -m infra.lint.settings_table           the table, to be pasted into README.md
    python -m infra.lint.settings_table --env     the text of .env.example

tests/docs compares both files with this, so a setting that is new, renamed or has another default is documented anew.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

ROOT: Final = Path(__file__).parents[2]
GROUPS: Final = {
    "topics": "Kafka and its topics: read by every process but the mock API",
    "shared": "Several processes",
    "producer_api": "API",
    "consumers": "Workers",
    "mock_api": "Mock API",
    "infra": "Local stack and commands",
    "infra.docker": "docker compose",
}
"""Groups in the order of the documents: the rooms, what the processes of several rooms read, and what Compose does."""
READERS: Final = {
    "producer_api": "API",
    "consumers": "worker",
    "mock_api": "mock API",
    "infra": "stack",
    "infra.docker": "compose",
}
STARTERS: Final = {"stack", "compose"}
"""Readers that start processes; that they read a setting too makes it no setting of several processes."""
HEAD: Final = """\
# Settings of tokenflow. Copy this file to .env and change what you need; what a process does not know it ignores.
# Real environment variables win over .env. A line that is a comment shows the default, or nothing where there is none.
# Made by `python -m infra.lint.settings_table --env`.

# ---- The four that are changed most

WORKER_CONCURRENCY=50     # x QUEUE_BATCH_SIZE = calls that one worker holds in flight at most (5,000)
QUEUE_BATCH_SIZE=100      # see above
MAX_RETRIES=3             # retries after the first try of a record, 0 = none; then it is a dead letter
RETRY_DELAY_MINUTES=5     # names the retry topic (tokens.retry.5m); fractions are allowed (0.05 = 3 s)
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable. `default` is as one would write it, "" where it is absent; `readers` are processes."""

    name: str
    default: str
    meaning: str
    group: str
    readers: tuple[str, ...]


def settings_classes(root: Path = ROOT) -> list[type[BaseSettings]]:
    """Return the settings classes of all rooms, in the order of GROUPS: those that a settings.py defines."""
    found: list[type[BaseSettings]] = []
    for name in sorted(_settings_modules(root), key=lambda name: (list(GROUPS).index(_group(name)), name)):
        module = importlib.import_module(name)
        found += [
            each
            for _, each in inspect.getmembers(module, inspect.isclass)
            if issubclass(each, BaseSettings) and each.__module__ == module.__name__
        ]
    return found


def _settings_modules(root: Path) -> Iterator[str]:
    """Yield the dotted name of every settings.py of a room."""
    for room in (each for each in GROUPS if (root / each).is_dir()):
        for path in (root / room).rglob("settings.py"):
            yield ".".join(path.relative_to(root).with_suffix("").parts)


def variables(cls: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Map the variables that a class reads to their fields."""
    prefix = cls.model_config.get("env_prefix", "")
    named: dict[str, FieldInfo] = {}
    for name, field in cls.model_fields.items():
        alias = field.validation_alias
        named[(alias if isinstance(alias, str) else prefix + name).upper()] = field
    return named


def all_settings(classes: list[type[BaseSettings]]) -> list[Setting]:
    """Return every variable once, in the order of GROUPS."""
    found: dict[str, list[tuple[str, FieldInfo]]] = {}
    for cls in classes:
        for name, field in variables(cls).items():
            found.setdefault(name, []).append((_group(cls.__module__), field))
    settings = [_setting(name, places) for name, places in found.items()]
    return sorted(settings, key=lambda each: list(GROUPS).index(each.group))


def _group(module: str) -> str:
    """Name the group of a module's settings: the longest name of GROUPS that it lies in."""
    return max((each for each in GROUPS if f"{module}.".startswith(f"{each}.")), key=len)


def _setting(name: str, places: list[tuple[str, FieldInfo]]) -> Setting:
    """Describe a variable as the first class does that has it; what differs for another reader stands behind that."""
    room, first = places[0]
    default, meaning = written(first.default), first.description or ""
    others: dict[str, list[str]] = {}
    for other, field in places:
        if written(field.default) != default:
            others.setdefault(field.description or "", []).append(READERS[other])
    meaning += "".join(f" ({', '.join(names)}: {text})" for text, names in others.items())
    readers = tuple(dict.fromkeys(READERS[each] for each, _ in places if each in READERS))
    group = "shared" if room != "topics" and len(set(readers) - STARTERS) > 1 else room
    return Setting(name, default, meaning, group, readers)


def written(default: Any) -> str:
    """Return a default as one would write it into a .env."""
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case SecretStr():
            return default.get_secret_value()
        case _:
            return str(default)


def table(settings: list[Setting]) -> str:
    """Return the table of the README, one line a setting."""
    lines = ["| Setting | Default | Read by | Meaning |", "|---|---|---|---|"]
    for each in settings:
        default = f"`{each.default}`" if each.default else ""
        cells = (f"`{each.name}`", default, ", ".join(each.readers), each.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def env_example(settings: list[Setting]) -> str:
    """Return `.env.example`: the users' block, then the rest by group."""
    return HEAD + "".join(_groups(settings))


def _groups(settings: list[Setting]) -> Iterator[str]:
    """Yield each group's settings under a heading, without those of the users' block."""
    for group, title in GROUPS.items():
        of_group = [each for each in settings if each.group == group and f"\n{each.name}=" not in HEAD]
        if of_group:
            yield f"\n# ---- {title}\n"
            yield from (f"\n# {each.meaning}\n# {each.name}={each.default}\n" for each in of_group)


if __name__ == "__main__":
    everything = all_settings(settings_classes())
    sys.stdout.write(env_example(everything) if "--env" in sys.argv[1:] else table(everything))
