"""What readers rely on: a name has one meaning, a function fits a screen, what is public is explained."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("harness", "ckpt_convert")
MOST_LINES = 60

type Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def modules(repository: Path) -> dict[str, ast.Module]:
    """Every module's syntax tree, by its path."""
    paths = [path for package in PACKAGES for path in sorted((repository / package).rglob("*.py"))]
    assert len(paths) > 200
    return {str(path.relative_to(repository)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def nodes[N: ast.AST](modules: dict[str, ast.Module], kind: type[N]) -> Iterator[tuple[str, N]]:
    """Every node of a kind, with its path and line."""
    for path, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, kind):
                yield f"{path}:{getattr(node, 'lineno', 1)}", node


def public(body: list[ast.stmt]) -> Iterator[ast.ClassDef | Function]:
    """The classes and functions of a body that others may use."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def unexplained(path: str, module: ast.Module) -> Iterator[str]:
    """What is public in a module and has no docstring; a method that overrides has its base's."""
    if not ast.get_docstring(module):
        yield path
    for node in public(module.body):
        methods = public(node.body) if isinstance(node, ast.ClassDef) and not node.bases else ()
        for found in (node, *methods):
            if not ast.get_docstring(found):
                yield f"{path}:{found.lineno}: {found.name}"


def test_the_name_of_a_class_or_type_stands_once(modules: dict[str, ast.Module]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for place, node in nodes(modules, ast.ClassDef):
        places[node.name].append(place)
    for place, alias in nodes(modules, ast.TypeAlias):
        assert isinstance(alias.name, ast.Name)
        places[alias.name.id].append(place)
    assert {name: at for name, at in places.items() if len(at) > 1 and not name.startswith("_")} == {}


def test_a_function_fits_a_screen(modules: dict[str, ast.Module]) -> None:
    functions = [*nodes(modules, ast.FunctionDef), *nodes(modules, ast.AsyncFunctionDef)]
    lengths = {f"{place}: {node.name}": (node.end_lineno or 0) - node.lineno + 1 for place, node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_what_is_public_has_a_docstring(modules: dict[str, ast.Module]) -> None:
    assert [text for path, module in modules.items() for text in unexplained(path, module)] == []


def test_pytest_can_import_every_test_file(repository: Path) -> None:
    """It imports them by their base names alone, so that two of one name stop the whole run."""
    names = Counter(path.name for path in (repository / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
