"""One file as the rules see it: its text, its syntax tree, what its names were imported as, and its escape comments."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

_ESCAPE = re.compile(r"lint: allow(?: (?P<rule>[a-z-]+) because (?P<reason>\S.*))?")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One broken rule. `path` is relative to the root of the checkout."""

    path: str
    line: int
    rule: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.sentence}"


@dataclass
class Source:
    """A file. `path` is relative to the root, with forward slashes; the rules decide by it what they look at."""

    path: str
    text: str
    name: PurePosixPath = field(init=False)

    def __post_init__(self) -> None:
        self.name = PurePosixPath(self.path)

    @property
    def is_python(self) -> bool:
        """Whether it is Python source."""
        return self.name.suffix == ".py"

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the tests, their support included."""
        return self.name.parts[0] == "tests"

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; raises SyntaxError."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree, once, since every rule walks them."""
        return list(ast.walk(self.tree))

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call."""
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    @cached_property
    def imports(self) -> dict[str, str]:
        """What a name of this file stands for: local name -> full dotted name."""
        named: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for each in node.names:
                    first = each.name.partition(".")[0]
                    named[each.asname or first] = each.name if each.asname else first
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                named |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        return named

    def full_name(self, node: ast.AST) -> str:
        """Return the imported thing that an expression names, or "": "time.sleep" for `t.sleep` after `import time as t`."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imports:
            return ""
        return ".".join([self.imports[node.id], *reversed(parts)])

    @cached_property
    def escapes(self) -> dict[int, set[str]]:
        """The rules that a line may break: line number -> names."""
        allowed: dict[int, set[str]] = {}
        for line, comment in self._comments():
            if (found := _ESCAPE.search(comment)) and found["rule"]:
                allowed.setdefault(line, set()).add(found["rule"])
        return allowed

    def bad_escapes(self) -> Iterator[int]:
        """Yield the lines of escapes that name no rule or give no reason."""
        for line, comment in self._comments():
            if (found := _ESCAPE.search(comment)) and not found["rule"]:
                yield line

    def is_comment_line(self, line: int) -> bool:
        """Say whether a line holds nothing but a comment."""
        return 1 <= line <= len(self.lines) and self.lines[line - 1].lstrip().startswith(("#", "--", "<!--"))

    def _comments(self) -> Iterator[tuple[int, str]]:
        """Yield line and text of what may be an escape; in Python comments only, so that a string cannot be one."""
        if "lint: allow" not in self.text:
            return
        if not self.is_python:
            yield from enumerate(self.lines, 1)
            return
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


Rule = Callable[[Source], Iterator[tuple[int, str]]]
"""Yields line and sentence of each place that breaks it."""
