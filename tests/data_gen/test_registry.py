"""The registry: scanning a package, entry points, nearest names, double names."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from data_gen import registry as module
from data_gen.errors import UserError, nearest
from data_gen.registry import Registry
from data_gen.tasks import TASKS


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    """Over a package of one module, which registers `alpha`."""
    package = tmp_path / "some_things"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from data_gen.registry import Registry\nTHINGS = Registry('thing', __name__, 'some.things')\n"
    )
    (package / "alpha.py").write_text(
        "from some_things import THINGS\n\n@THINGS.register('alpha')\ndef alpha():\n    return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("some_things", "some_things.alpha"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return __import__("some_things").THINGS


def test_modules_of_the_package_register_themselves(registry: Registry[Any]) -> None:
    assert registry.names() == ["alpha"]
    assert registry.get("alpha")() == 1


def test_an_entry_point_adds_a_name(registry: Registry[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("beta", "math:sqrt", "some.things")
    monkeypatch.setattr(module, "entry_points", lambda group: [point] if group == "some.things" else [])
    assert registry.names() == ["alpha", "beta"]
    assert registry.get("beta")(9) == 3


def test_an_unknown_name_gets_the_nearest_or_all(registry: Registry[Any]) -> None:
    with pytest.raises(UserError, match=r"^Unknown thing 'alhpa'. Did you mean 'alpha'\?$"):
        registry.get("alhpa")
    with pytest.raises(UserError, match=r"^Unknown thing 'zzz'. Known: alpha.$"):
        registry.get("zzz")


def test_one_name_for_two_things_is_refused_and_for_one_thing_is_not() -> None:
    registry: Registry[int] = Registry("thing", "data_gen.programs", "none")
    registry.register("x")(1)
    registry.register("x")(1)
    with pytest.raises(ValueError, match="thing 'x' is registered twice: 1 and 2"):
        registry.register("x")(2)


def test_nearest_of_nothing_is_silent() -> None:
    assert nearest("x", []) == ""


def test_names_that_hold_a_comma_are_quoted_in_a_list() -> None:
    assert nearest("x", ["majority", "judge, best"]) == " Known: 'judge, best', 'majority'."
    assert nearest("x", ["majority", "judge"]) == " Known: judge, majority."


def test_the_built_in_tasks_are_there() -> None:
    assert {"chain", "jsonl", "reasoning_gym"} <= set(TASKS.names())
