"""Python files as their syntax trees, each parsed once: tests on what the code may hold read the same ones."""

import ast
from functools import cache
from pathlib import Path


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node, as `ast.walk` finds them."""
    return tuple(ast.walk(tree_of(path)))
