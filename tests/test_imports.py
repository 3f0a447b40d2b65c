"""Who may import whom, read from the source: arrows, circles, and what no module pulls in by being imported."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("data_gen", "reasoning_train", "launch")
"""From the bottom up: each may import those before it."""
HEAVY = {"torch", "transformers", "trl", "peft", "deepspeed", "datasets", "accelerate", "vllm", "sympy", "pyarrow"}
APART = {
    # Parts of what format.py binds to a tokenizer. They name its Format, for types alone.
    "data_gen.prompts",
    "data_gen.templates.frame",
}
"""Modules that may refer to what imports them, but not when they are imported."""


@cache
def sources() -> dict[str, Path]:
    """Module -> its file."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


@cache
def imported(module: str, *, deferred: bool) -> frozenset[str]:
    """Modules that a module imports: when it is imported itself or, with `deferred`, ever, for types included."""
    tree = ast.parse(sources()[module].read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if deferred else at_once(tree.body)
    return frozenset(name for node in nodes for name in _names(node))


def at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported. Bodies of functions and imports for types do not."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from at_once(node.orelse)
            continue
        yield node
        for block in ("body", "orelse", "finalbody"):
            yield from at_once(getattr(node, block, []))
        for handler in getattr(node, "handlers", []):
            yield from at_once(handler.body)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0 and node.module, "imports are absolute"
        inside = (f"{node.module}.{alias.name}" for alias in node.names)
        yield from (name if name in sources() else node.module for name in inside)


def package_of(module: str) -> str:
    return module.partition(".")[0]


def test_what_runs_at_once() -> None:
    text = """
if TYPE_CHECKING:
    import a
else:
    import b
try:
    import c
except ImportError:
    import d
def f():
    import e
class G:
    import g
with h: import h
"""
    found = [name for node in at_once(ast.parse(text).body) for name in _names(node)]
    assert found == ["b", "c", "d", "g", "h"]


def test_arrows_go_one_way() -> None:
    upward = [
        f"{module} imports {name}"
        for module in sources()
        for name in imported(module, deferred=True)
        if package_of(name) in PACKAGES
        if PACKAGES.index(package_of(name)) > PACKAGES.index(package_of(module))
    ]
    assert not upward


@pytest.mark.parametrize("deferred", [False, True])
def test_there_are_no_circles(deferred: bool) -> None:
    """Not even by imports that wait until a function runs, or that are for types; a few modules apart."""
    graph = {
        module: {name for name in imported(module, deferred=deferred) & sources().keys() if name != module}
        for module in sources()
        if not (deferred and module in APART)
    }
    graphlib.TopologicalSorter(graph).prepare()


def rooms_of(package: str) -> dict[str, set[str]]:
    """Folder of a package -> the other folders that it imports from, at once or ever."""
    rooms: dict[str, set[str]] = {}
    for module in sources():
        for name in imported(module, deferred=module not in APART) & sources().keys():
            ends = [_room(package, module), _room(package, name)]
            if all(ends) and ends[0] != ends[1]:
                rooms.setdefault(ends[0], set()).add(ends[1])
    return rooms


def _room(package: str, module: str) -> str:
    """The folder that a module lies in; empty for another package's modules and those in no folder."""
    parts = sources()[module].relative_to(ROOT).parts
    return parts[1] if parts[0] == package and len(parts) > 2 else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_form_no_circles(package: str) -> None:
    """Folders of a package have an order: each builds on those below it."""
    graphlib.TopologicalSorter(rooms_of(package)).prepare()


def test_only_launch_knows_clusters() -> None:
    """No name in the code below speaks of SLURM; documents may."""
    known = [
        f"{module}: {name}"
        for module, path in sources().items()
        if package_of(module) != "launch"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", ""))
        if any(word in str(name).lower() for word in ("slurm", "sbatch", "scontrol"))
    ]
    assert not known


def test_only_engines_and_the_trl_adapter_import_vllm() -> None:
    users = {module for module in sources() if "vllm" in map(package_of, imported(module, deferred=True))}
    allowed = ("data_gen.engines.vllm.", "reasoning_train.trainers.rl.")
    assert users and all(module.startswith(allowed) for module in users)


@pytest.mark.parametrize("room", ["data_gen.tasks", "data_gen.graders", "reasoning_train.stages", "launch.cli"])
def test_nothing_heavy_is_imported_with(room: str) -> None:
    """Neither by a module itself nor by what it imports at once."""
    modules = [name for name in sources() if name == room or name.startswith(f"{room}.")]
    assert modules
    for module in modules:
        reached, waiting = set[str](), [module]
        while waiting:
            one = waiting.pop()
            if one in reached:
                continue
            reached.add(one)
            names = imported(one, deferred=False)
            assert not (found := HEAVY & set(map(package_of, names))), f"{module} imports {found} by {one}"
            parents = {name.rpartition(".")[0] for name in names}
            waiting += (names | parents) & sources().keys()


def test_every_class_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = {}
    for module, path in sources().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}
