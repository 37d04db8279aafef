import subprocess
import sys

import pytest
from typer.testing import CliRunner

from infra.cli.main import VERBS, app, load

runner = CliRunner()


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_loads_and_has_help(name: str) -> None:
    """The table names functions and apps that exist."""
    command = load(name)
    assert command.name == name
    assert command.get_short_help_str()


def test_the_list_of_verbs_imports_no_room() -> None:
    """`tokenflow --help` answers at once, and a verb does not pay for the others."""
    code = (
        "import sys\n"
        "from infra.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('fastapi', 'aiokafka', 'aiohttp', 'asyncpg', 'jgo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - ours
    assert all(name in done.stdout for name in VERBS)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_mistyped_verb_gets_a_suggestion() -> None:
    """And exit code 2."""
    result = runner.invoke(app, ["kafak"])
    assert result.exit_code == 2
    assert "kafka" in result.output


def test_an_unknown_tool_of_kafka_gets_the_list() -> None:
    """Its options are not taken for ours."""
    result = runner.invoke(app, ["kafka", "topcs", "--list"])
    assert result.exit_code == 2
    assert "console-producer" in result.output


def test_an_expected_error_is_one_sentence_without_a_traceback() -> None:
    """A setting out of range, as a process of its own says it."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "migrate"],
        env={"PATH": "", "TOKENS_PARTITIONS": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("TOKENS_PARTITIONS=0:")
    assert "Traceback" not in done.stderr
