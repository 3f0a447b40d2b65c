"""Fingerprints of code: what counts, which modules take part, and what is told of those that changed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from data_gen.search.algorithms.mcts import Mcts
from reasoning_train.stages.search import search
from reasoning_train.store.code import code_version, fingerprint, imported_from, modules_in, other_code

SOURCE = '''
"""A module."""
import json

class Config:
    """A config."""

    n: int = 4
    """How many."""

def double(x: int) -> int:
    # twice
    return 2 * x
'''


def written(folder: Path, text: str, name: str = "made") -> Path:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("# twice\n", "# two times\n", True),
        ("How many.", "How many there are.", True),
        ('"""A module."""', "", True),
        ("def double(x: int) -> int:", "def double(\n    x: int,\n) -> int:", True),
        ("2 * x", "3 * x", False),
        ("n: int = 4", "n: int = 5", False),
        ("import json", "import yaml", False),
    ],
)
def test_comments_docstrings_and_line_breaks_do_not_count(tmp_path: Path, old: str, new: str, same: bool) -> None:
    before = fingerprint(written(tmp_path, SOURCE, "before"))
    after = fingerprint(written(tmp_path, SOURCE.replace(old, new), "after"))
    assert (before == after) is same


def test_a_file_that_does_not_parse_has_one_too(tmp_path: Path) -> None:
    assert fingerprint(written(tmp_path, "def")) != fingerprint(written(tmp_path, "class", "other"))


def test_only_what_the_roots_import_takes_part() -> None:
    assert importlib.import_module("reasoning_train.stages.select").__name__ in sys.modules
    found = imported_from([search.run.__module__, *modules_in(Mcts())])
    assert {"data_gen.search.algorithms.mcts", "data_gen.search.select", "data_gen.search.tree"} <= found.keys()
    assert "reasoning_train.stages.select" not in found and "torch" not in found


def test_files_that_changed_and_files_that_are_gone_are_named() -> None:
    now = imported_from(["data_gen.search.select"])
    assert other_code({"modules": now}) == []
    then = {**now, "data_gen.search.select": "0" * 16, "data_gen.search": "0" * 16, "data_gen.no_such.module": "0" * 16}
    assert sorted(other_code({"modules": then})) == [
        "data_gen/no_such/module.py (gone)",
        "data_gen/search/__init__.py",
        "data_gen/search/select.py",
    ]


def test_the_commit_is_told_where_there_is_one() -> None:
    code = code_version()
    assert code.keys() == {"version", "commit", "dirty"}
    assert code["commit"] is None or len(code["commit"]) == 40
