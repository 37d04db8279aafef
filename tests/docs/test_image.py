"""The image of our processes, as far as it can be read off the Dockerfile and .dockerignore."""

import re
import tomllib

from tests.support.compose import ROOT

DOCKERFILE = (ROOT / "infra/docker/Dockerfile").read_text("utf-8")
STAGES = DOCKERFILE.split("\nFROM ")[1:]
IGNORED = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and not line.startswith("#")]


def test_what_is_installed_is_named_by_a_hash() -> None:
    """Packages and the backend that makes our own wheel; the two last commands reach no index at all."""
    installs = re.findall(r"pip --quiet.*? (?:install|wheel)\b[^\n&]*", DOCKERFILE)
    assert len(installs) == 4
    assert [each for each in installs if "--require-hashes" not in each and "--no-index" not in each] == []
    assert set(re.findall(r"infra/python/\w+\.lock", DOCKERFILE)) == {"infra/python/runtime.lock", "infra/python/build.lock"}


def test_the_backend_is_the_one_that_the_project_names() -> None:
    """The lock of the build is made from the same requirement."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]


def test_both_stages_have_one_pinned_base() -> None:
    """The environment that is copied names the interpreter of the base; a digest or a syntax line would need a registry."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:\d+\.\d+-slim-[a-z]+", bases[0])
    assert "syntax=" not in DOCKERFILE


def test_the_image_has_no_build_tools_and_is_not_root() -> None:
    """Its stage takes the environment, which has no pip, and installs nothing."""
    last = STAGES[-1]
    assert "pip" not in last
    assert "--without-pip" in STAGES[0]
    assert re.findall(r"^USER (\S+)", last, re.MULTILINE) == ["10001:10001"]


def test_the_builder_is_sent_what_the_image_is_made_of() -> None:
    """Everything is left out that is not named, so no .env, data or history of the checkout is in reach of a COPY."""
    assert IGNORED[0] == "*"
    named = {line[1:] for line in IGNORED if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert named == packages | {"pyproject.toml", project["project"]["readme"]}
    assert "**/__pycache__" in IGNORED
