"""The house rules about Python, decided on the syntax tree."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from infra.lint.source import Source

SLEEPS: Final = {"time.sleep", "asyncio.sleep", "anyio.sleep"}
WAITING: Final = {("tests/support/faults.py", "hold_fault"), ("tests/support/waiting.py", "eventually")}
ENVIRONMENTS: Final = {"os.environ", "os.environb"}
METRICS: Final = {f"prometheus_client.{kind}" for kind in ("Counter", "Gauge", "Histogram", "Summary", "Info", "Enum")}
TASK_MAKERS: Final = {"create_task", "ensure_future"}
SKIPS: Final = {
    "pytest.skip",
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "unittest.skip",
    "unittest.skipIf",
}
BROAD: Final = {"Exception", "BaseException"}
LONGEST_FILE: Final = 400
_RUFFS_OWN_ESCAPE = re.compile(r"noqa: .*\bBLE001\b.* - \w")


def sleep_in_test(source: Source) -> Iterator[tuple[int, str]]:
    """No sleep in a test: it is too short on a slow machine and wasted on a fast one.

    Tests wait with `eventually`, which ends when the promise holds; a fault that must last uses `hold_fault`. `sleep(0)`
    waits for nothing: it lets the event loop run once.
    """
    if not source.is_test:
        return
    exempt = _lines_of(source, {name for path, name in WAITING if path == source.path})
    for call in source.calls:
        zero = len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
        if source.full_name(call.func) in SLEEPS and not zero and call.lineno not in exempt:
            yield call.lineno, "wait with `await eventually(...)`, or let a fault last with `hold_fault`"


def environment_read(source: Source) -> Iterator[tuple[int, str]]:
    """Settings come from the settings object of the process: a variable read elsewhere is documented and checked nowhere.

    To hand the whole environment to a child process reads no setting and is fine.
    """
    if source.is_test or source.name.name == "settings.py" or source.path.startswith("infra/local/"):
        return
    for node in source.nodes:
        match node:
            case ast.Call(func=function) if source.full_name(function) in {"os.getenv", "os.putenv", "os.environ.get"}:
                yield node.lineno, "read it in a settings class (pydantic-settings), and hand the value down"
            case ast.Subscript(value=value) if source.full_name(value) in ENVIRONMENTS:
                yield node.lineno, "read it in a settings class (pydantic-settings), and hand the value down"
            case ast.Compare(comparators=[right]) if source.full_name(right) in ENVIRONMENTS:
                yield node.lineno, "read it in a settings class (pydantic-settings), and hand the value down"
            case _:
                pass


def metric_outside_catalogue(source: Source) -> Iterator[tuple[int, str]]:
    """Every metric stands in the catalogue of its process, metrics.py, where name, unit, labels and meaning are reviewed."""
    if source.is_test or source.name.name == "metrics.py":
        return
    for call in source.calls:
        if source.full_name(call.func) in METRICS:
            yield call.lineno, "define the metric in the metrics.py of its process"


def broad_except(source: Source) -> Iterator[tuple[int, str]]:
    """An unexpected exception is a bug and ends the process; only the lane boundary turns one into a fate.

    A handler that ends in a bare `raise` hides nothing. A ruff ignore of BLE001 with its reason is an escape too.
    """
    for node in source.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        broad = any(each is None or (isinstance(each, ast.Name) and each.id in BROAD) for each in caught)
        last = node.body[-1]
        raised_again = isinstance(last, ast.Raise) and last.exc is None
        if broad and not raised_again and not _RUFFS_OWN_ESCAPE.search(source.lines[node.lineno - 1]):
            yield node.lineno, "catch what can happen, by name; anything else is a bug and must be seen"


def dropped_task(source: Source) -> Iterator[tuple[int, str]]:
    """Every task has an owner that awaits it: a dropped one may be collected half way, and its exception is seen by nobody.

    The tasks of an `asyncio.TaskGroup` are owned by the group.
    """
    groups = {
        item.optional_vars.id
        for node in source.nodes
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name) and _is_task_group(source, item.context_expr)
    }
    for node in source.nodes:
        match node:
            case (
                ast.Expr(value=ast.Call(func=function))
                | ast.Assign(targets=[ast.Name(id="_")], value=ast.Call(func=function))
            ) if _makes_task(function) and not _is_name(function, groups):
                yield node.lineno, "keep the task and await it, or let a TaskGroup own it"
            case _:
                pass


def skip_in_test(source: Source) -> Iterator[tuple[int, str]]:
    """Nothing is skipped: a test that cannot run where it is asked to fails, or nobody learns that it does not run."""
    if not source.is_test:
        return
    for node in source.nodes:
        if isinstance(node, ast.Attribute | ast.Name) and source.full_name(node) in SKIPS and hasattr(node, "lineno"):
            yield node.lineno, "let it fail, or select it with a marker that somebody runs"


def long_file(source: Source) -> Iterator[tuple[int, str]]:
    """Aim at 200 lines; a file above 400 has a second concern, or a reason that can be written down."""
    if source.is_python and len(source.lines) > LONGEST_FILE:
        yield 1, f"{len(source.lines)} lines, at most {LONGEST_FILE}: move the second concern to a file of its own"


def _lines_of(source: Source, functions: set[str]) -> set[int]:
    """Return the lines of the functions of these names."""
    return {
        line
        for node in source.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in functions
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def _is_task_group(source: Source, expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and source.full_name(expression.func) == "asyncio.TaskGroup"


def _makes_task(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in TASK_MAKERS
        case _:
            return False


def _is_name(function: ast.expr, groups: set[str]) -> bool:
    match function:
        case ast.Attribute(value=ast.Name(id=name)):
            return name in groups
        case _:
            return False
