import pytest

from infra.lint.check import PYTHON_RULES, TEXT_RULES, check
from infra.lint.source import Source

CODE = "consumers/engine/pump.py"
TEST = "tests/unit/consumers/test_pump.py"
SLASH = "/"

BAD: list[tuple[str, str, str]] = [
    ("sleep-in-test", TEST, "import time\ntime.sleep(1)\n"),
    ("sleep-in-test", TEST, "from time import sleep as nap\nnap(1)\n"),
    ("sleep-in-test", TEST, "import asyncio as a\nasync def test():\n    await a.sleep(0.1)\n"),
    ("sleep-in-test", "tests/support/faults.py", "import time\ndef other():\n    time.sleep(1)\n"),
    ("environment-read", CODE, "import os\nX = os.environ['X']\n"),
    ("environment-read", CODE, "import os\nX = os.environ.get('X')\n"),
    ("environment-read", CODE, "from os import getenv\nX = getenv('X')\n"),
    ("environment-read", CODE, "from os import environ as e\nX = 'X' in e\n"),
    ("environment-read", CODE, "import os\nos.environ['X'] = '1'\n"),
    ("metric-outside-catalogue", CODE, "from prometheus_client import Counter\nC = Counter('a', 'b')\n"),
    ("metric-outside-catalogue", CODE, "import prometheus_client as p\nC = p.Histogram('a', 'b')\n"),
    ("broad-except", CODE, "try:\n    f()\nexcept Exception:\n    pass\n"),
    ("broad-except", CODE, "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    pass\n"),
    ("broad-except", TEST, "try:\n    f()\nexcept:\n    pass\n"),
    ("broad-except", CODE, "try:\n    f()\nexcept Exception:  # noqa: BLE001\n    pass\n"),
    ("dropped-task", CODE, "import asyncio\nasyncio.create_task(f())\n"),
    ("dropped-task", CODE, "loop.create_task(f())\n"),
    ("dropped-task", CODE, "import asyncio\n_ = asyncio.ensure_future(f())\n"),
    ("skip-in-test", TEST, "import pytest\ndef test():\n    pytest.skip('no broker')\n"),
    ("skip-in-test", TEST, "import pytest\n@pytest.mark.skipif(True, reason='x')\ndef test(): ...\n"),
    ("long-file", CODE, "x = 1\n" * 401),
    ("non-ascii", CODE, "x = 'caf\u00e9'\n"),
    ("non-ascii", "consumers/sql/read_x.sql", "-- caf\u00e9\n"),
    ("sql-name", "consumers/sql/outcomes.sql", "-- Reads.\n"),
    ("sql-name", "consumers/sql/outcomes_read.sql", "-- Reads.\n"),
    ("sql-name", "infra/postgres/migrations/1_jobs.sql", "-- Jobs.\n"),
    ("sql-comment", "consumers/sql/read_outcomes.sql", "SELECT 1;\n"),
    ("lock-url", "infra/python/dev.lock", "x @ https://host/x.whl\n"),
    ("machine-path", "docs/x.md", f"see {SLASH}home/me/x\n"),
    ("machine-path", "Makefile", f"P = '{SLASH}root/x'\n"),
    ("machine-path", CODE, f"p = '{SLASH}work/x'\n"),
]

GOOD: list[tuple[str, str]] = [
    (TEST, "import asyncio\nasync def test():\n    await asyncio.sleep(0)\n"),
    (TEST, "def sleep(x): ...\nsleep(1)\n"),
    (CODE, "import asyncio\nasync def f():\n    await asyncio.sleep(1)\n"),
    ("tests/support/faults.py", "import asyncio\nasync def hold_fault(s):\n    await asyncio.sleep(s)\n"),
    ("tests/support/waiting.py", "import asyncio\nasync def eventually():\n    await asyncio.sleep(1)\n"),
    ("consumers/settings.py", "import os\nX = os.environ['X']\n"),
    ("infra/local/parts.py", "import os\nX = os.environ['X']\n"),
    ("infra/cli/up.py", "import os\nchild = {**os.environ, 'X': '1'} | dict(os.environ)\n"),
    (TEST, "import os\nX = os.getenv('X')\n"),
    ("consumers/metrics.py", "from prometheus_client import Counter\nC = Counter('a', 'b')\n"),
    (CODE, "from collections import Counter\nC = Counter('a')\n"),
    (CODE, "try:\n    f()\nexcept ValueError:\n    pass\n"),
    (CODE, "try:\n    f()\nexcept BaseException:\n    undo()\n    raise\n"),
    (CODE, "try:\n    f()\nexcept Exception:  # noqa: BLE001 - the lane boundary\n    pass\n"),
    (CODE, "import asyncio\ntask = asyncio.create_task(f())\ntasks.add(asyncio.create_task(f()))\n"),
    (CODE, "import asyncio\nasync def f():\n    async with asyncio.TaskGroup() as g:\n        g.create_task(f())\n"),
    (TEST, "import pytest\n@pytest.mark.parametrize('x', [1])\ndef test(x): ...\n"),
    (CODE, "x = 1\n" * 400),
    (CODE, "x = 'caf\\u00e9'\n"),
    ("README.md", "caf\u00e9\n"),
    ("consumers/sql/upsert_dead_letters.sql", "-- Idempotent by record_id.\nSELECT 1;\n"),
    ("infra/postgres/migrations/0012_jobs.sql", "-- Jobs.\nSELECT 1;\n"),
    ("infra/python/dev.lock", "aiohttp==3.14.5 --hash=sha256:abc\n"),
    ("docs/x.md", "http://host/home/x and src/root/x and ~/home/x\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_a_rule_finds_what_breaks_it(rule: str, path: str, text: str) -> None:
    """The bad example is found, by that rule and by no other."""
    assert {finding.rule for finding in check(Source(path, text))} == {rule}


@pytest.mark.parametrize(("path", "text"), GOOD)
def test_what_breaks_no_rule_passes(path: str, text: str) -> None:
    """The good example, often the bad one in the place where it belongs, is not found."""
    assert check(Source(path, text)) == []


def test_every_rule_has_a_bad_example_and_a_reason() -> None:
    """A rule without a test could find nothing; a rule without a reason would be followed by nobody."""
    rules = TEXT_RULES | PYTHON_RULES
    assert {rule for rule, _, _ in BAD} == set(rules)
    assert all(find.__doc__ for find in rules.values())


ESCAPABLE = [each for each in BAD if each[1].endswith((".py", ".md")) and each[0] != "long-file"]


@pytest.mark.parametrize(("rule", "path", "text"), ESCAPABLE)
def test_an_escape_with_a_reason_lets_a_line_pass(rule: str, path: str, text: str) -> None:
    """On a comment line above, with the name of the rule."""
    line = check(Source(path, text))[0].line
    comment = (
        f"# lint: allow {rule} because this is a test" if path.endswith(".py") else f"<!-- lint: allow {rule} because x -->"
    )
    lines = text.splitlines()
    indent = lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]
    lines.insert(line - 1, indent + comment)
    assert check(Source(path, "\n".join(lines) + "\n")) == []


def test_an_escape_may_stand_on_the_line_itself() -> None:
    """Behind the code that it is about."""
    text = "import os\nX = os.environ['X']  # lint: allow environment-read because it is shown to people\n"
    assert check(Source(CODE, text)) == []


@pytest.mark.parametrize("escape", ["", " environment-read", " environment-read because ", " it because x"])
def test_an_escape_without_rule_or_reason_is_none(escape: str) -> None:
    """The finding stays, and the escape is one too."""
    findings = check(Source(CODE, f"import os\nX = os.environ['X']  # lint: allow{escape}\n"))
    assert [finding.rule for finding in findings] == ["environment-read", "escape"]


def test_an_escape_behind_the_line_above_is_not_of_this_line() -> None:
    """It belongs to the code that it stands behind."""
    text = "import os\nY = 1  # lint: allow environment-read because it is shown to people\nX = os.environ['X']\n"
    assert [(finding.line, finding.rule) for finding in check(Source(CODE, text))] == [
        (2, "escape"),
        (3, "environment-read"),
    ]


def test_an_escape_of_nothing_is_found() -> None:
    """What it excused is gone, or was never there."""
    findings = check(Source(CODE, "x = 1  # lint: allow dropped-task because it was\n"))
    assert [(finding.rule, finding.line) for finding in findings] == [("escape", 1)]


def test_an_escape_in_a_string_is_text() -> None:
    """Only comments count, so that the linter can be tested."""
    assert check(Source(CODE, "x = '# lint: allow dropped-task because'\n")) == []


def test_a_finding_names_file_line_rule_and_remedy() -> None:
    """In the form that editors jump to."""
    (finding,) = check(Source(CODE, "x = 1\nloop.create_task(f())\n"))
    assert str(finding) == f"{CODE}:2: dropped-task: keep the task and await it, or let a TaskGroup own it"


def test_a_file_that_is_no_python_is_a_finding() -> None:
    """It stops neither the others nor the linter."""
    (finding,) = check(Source(CODE, "x = (\n"))
    assert (finding.path, finding.rule) == (CODE, "syntax")
