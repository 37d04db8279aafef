"""The configuration and the rules, judged by Prometheus' own tool."""

import subprocess
from pathlib import Path

import pytest

from infra.lint.check import ROOT
from infra.prometheus.local import CONFIGURATION, RULES, jobs, with_files
from infra.prometheus.programs import Programs, find_programs

SITUATIONS = ROOT / "tests" / "contract" / "prometheus" / "five_numbers.yml"
TOOL_SECONDS = 60


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """A Prometheus that cannot be had fails the test, with a sentence that says what to install."""
    return find_programs(fallback=tmp_path_factory.mktemp("prometheus"), progress=lambda _: None)


def promtool(programs: Programs, *arguments: str) -> str:
    """Run the tool; return what it printed. Fails where it finds fault."""
    done = subprocess.run(  # noqa: S603 - the program under test
        [str(programs.promtool), *arguments], capture_output=True, text=True, check=False, timeout=TOOL_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_and_the_rules_are_valid(programs: Programs) -> None:
    """As docker compose mounts them; the tool finds the rules by the configuration's own path."""
    assert "1 rule files found" in promtool(programs, "check", "config", str(CONFIGURATION))
    for path in RULES.glob("*.yml"):
        promtool(programs, "check", "rules", "--lint=all", "--lint-fatal", str(path))


def test_the_five_numbers_say_what_they_mean(programs: Programs) -> None:
    """Idle, at work, a worker killed or restarted, a lag that is unknown, a queue that does not move."""
    assert "SUCCESS" in promtool(programs, "test", "rules", str(SITUATIONS))


def test_the_local_prometheus_has_the_same_jobs_and_rules(programs: Programs, tmp_path: Path) -> None:
    """What tests and benchmarks run differs in addresses and intervals alone, and is valid too."""
    text = CONFIGURATION.read_text("utf-8")
    local = with_files(text, scrape_seconds=0.5)
    assert jobs(local) == jobs(text) == ["workers", "api", "lag-exporter", "prometheus"]
    assert local.count(": 500ms") == 3, "two intervals and a timeout"
    (tmp_path / "rules").symlink_to(RULES)
    (tmp_path / "prometheus.yml").write_text(local)
    promtool(programs, "check", "config", str(tmp_path / "prometheus.yml"))
