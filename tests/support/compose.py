"""docker-compose.yml as Compose reads it, without Compose: the services, the variables, and what each container is given."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
PORT = re.compile(r"(\$\{\w+:-[^}]*\}|[^:$]*):(\$\{\w+:-\d+\}|\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class Variable:
    """A `${...}` of the file. `default` is None where there is none: then Compose warns, and puts nothing there."""

    name: str
    default: str | None
    start: int
    end: int


@cache
def document() -> dict[str, Any]:
    """Return the file as YAML, anchors and merges resolved."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    """Return the services by name."""
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def image_of(service: str) -> str:
    """Return the image that a service is pinned to."""
    return str(services()[service]["image"])


def variables(text: str) -> Iterator[Variable]:
    """Yield the variables of a text, in order; braces inside of a default are counted."""
    start = text.find("${")
    while start >= 0:
        end, depth = start + 2, 1
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        name, colon, default = text[start + 2 : end - 1].partition(":-")
        yield Variable(name, default if colon else None, start, end)
        start = text.find("${", end)


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Replace each variable by its value in `given`, or by its default where that is missing or empty."""
    for each in reversed(list(variables(text))):
        text = text[: each.start] + (given.get(each.name) or each.default or "") + text[each.end :]
    return text


def environment(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a container of the service has in its environment, if the shell and .env hold `given`.

    A name without a value is handed on if it is given, and absent else.
    """
    declared: dict[str, str | None] = services()[service].get("environment", {})
    handed_on = {name: given.get(name) if value is None else interpolated(value, given) for name, value in declared.items()}
    return {name: value for name, value in handed_on.items() if value is not None}


def published(service: str) -> list[tuple[str, str, int]]:
    """Return address, host port and container port of each published port; the first two as written."""
    found = [PORT.fullmatch(port) for port in services()[service].get("ports", ())]
    assert all(found), f"{service} publishes a port in another form than ADDRESS:PORT:PORT"
    return [(each[1], each[2], int(each[3])) for each in found if each]


def health_url(service: str) -> tuple[int, str]:
    """Return port and path of the URL that a service's health check asks; 0 and nothing where it asks none."""
    found = re.search(
        r"http://127\.0\.0\.1:(\d+)(/\S*)", " ".join(services()[service].get("healthcheck", {}).get("test", ()))
    )
    return (int(found[1]), found[2]) if found else (0, "")


def seconds(duration: str) -> int:
    """Read a duration as the file writes it: `90s`, `10m`."""
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]
