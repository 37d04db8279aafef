import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"WORKER_CONCURRENCY": "2000"}, "WORKER_CONCURRENCY x QUEUE_BATCH_SIZE = 2000 x 100"),
        ({"PROVIDER_TIMEOUT_SECONDS": "0"}, "PROVIDER_TIMEOUT_SECONDS=0: "),
        ({"API_MAX_WAITERS": "0"}, "API_MAX_WAITERS=0: "),
        ({"BIND_ADDRESS": "0.0.0.0"}, "API_ALLOW_ANONYMOUS=true"),  # noqa: S104 - refused
        ({"TOKENS_TOPIC": "a b"}, "TOKENS_TOPIC=a b: "),
        ({"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL: this is none"),
        ({"MOCK_API_LATENCY_MIN_SECONDS": "20"}, "MOCK_API_LATENCY_MIN_SECONDS=20 is above"),
    ],
)
def test_up_refuses_what_one_of_its_parts_would_refuse_before_it_starts_anything(
    environment: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not ten seconds later, in the log of a part that ended."""
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["up"], env=environment)
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert says in result.output
    assert len(result.output.splitlines()) == 1


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
