"""The code that made an artifact: a fingerprint of each of our modules that it used, and the commit.

A fingerprint hashes the syntax tree without docstrings, so comments, docstrings and line breaks do not change it.
Fingerprints are in no key. A difference is reported as `made by other code`, but nothing is made again for that alone.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import reasoning_train

OURS = frozenset({"data_gen", "reasoning_train"})
"""Packages whose modules are fingerprinted, in addition to plug-ins. `launch` is absent: it starts processes and makes
no rows."""


def imported_from(roots: Iterable[str]) -> dict[str, str]:
    """Module -> fingerprint of the modules `roots` and everything that they import, directly or indirectly, and that
    this process has imported.

    Other modules that the process imported, such as stages that it did not run, are left out.
    """
    waiting, found = list(roots), dict[str, str]()
    packages = OURS | {root.partition(".")[0] for root in waiting}
    while waiting:
        name = waiting.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if name in found or name.partition(".")[0] not in packages or not file or not file.endswith(".py"):
            continue
        found[name] = fingerprint(Path(file))
        waiting += [name.rpartition(".")[0], *_imports(Path(file))]
    return dict(sorted(found.items()))


def modules_in(value: Any) -> Iterator[str]:
    """The modules of the classes in a config, including those of the pieces that it names."""
    if isinstance(value, BaseModel):
        yield type(value).__module__
        value = {name: getattr(value, name) for name in type(value).model_fields}
    for inside in value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ():
        yield from modules_in(inside)


def other_code(code: Mapping[str, Any]) -> list[str]:
    """The files of a manifest's `code` that differ today, e.g. `data_gen/search/select.py`. Files that no longer exist
    are marked.

    Nothing is imported. Files are searched beside our packages and along `sys.path`.
    """
    return [_told(name) for name, known in code.get("modules", {}).items() if _today(name) != known]


def _today(name: str) -> str:
    file = _find(name)
    return fingerprint(file) if file else ""


def _told(name: str) -> str:
    file = _find(name)
    parts = name.split(".")
    if file is None:
        return f"{'/'.join(parts)}.py (gone)"
    return "/".join([*parts, file.name] if file.name == "__init__.py" else [*parts[:-1], file.name])


def _find(name: str) -> Path | None:
    for root in (_root(), *map(Path, sys.path)):
        path = root.joinpath(*name.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def fingerprint(file: Path) -> str:
    """16 hex digits of the sha256 of a module's syntax tree without docstrings, or of its bytes if it does not
    parse."""
    return _read(file, file.stat().st_mtime_ns)[0]


def _imports(file: Path) -> tuple[str, ...]:
    """Everything that a module imports, including imports inside functions. Names that are not modules do no harm."""
    return _read(file, file.stat().st_mtime_ns)[1]


@functools.cache
def _read(file: Path, changed: int) -> tuple[str, tuple[str, ...]]:
    """Fingerprint and imports of a module. `changed`, the modification time, is part of the cache key."""
    source = file.read_bytes()
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return hashlib.sha256(source).hexdigest()[:16], ()
    imports: list[str] = []
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16], tuple(imports)


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is only a string: a docstring or a field's description."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _root() -> Path:
    return Path(reasoning_train.__file__).parent.parent


@functools.cache
def code_version() -> Mapping[str, Any]:
    """Version of this package, the commit (None outside git), and whether files differ from the commit."""
    version: dict[str, Any] = {"version": reasoning_train.__version__, "commit": None, "dirty": False}
    if not (_root() / ".git").exists():
        return version
    try:
        commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
        return {**version, "commit": commit.strip(), "dirty": bool(changes.strip())}
    except (OSError, subprocess.SubprocessError):
        return version


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(_root()), *arguments], capture_output=True, text=True, check=True, timeout=10
    ).stdout
