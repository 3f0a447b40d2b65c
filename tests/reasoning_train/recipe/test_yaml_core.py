"""YAML 1.2 core schema: values known by hand, origins, and the message of every refusal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.yaml_core import parse_value, read_yaml
from tests.reasoning_train.recipe.kitchen import write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        (".INF", math.inf),
        ("0o17", 15),
        ("0xFf", 255),
        ("010", 10),
        ("-7", -7),
        ("+7", 7),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("~", None),
        ("null", None),
        ("", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("0b11", "0b11"),
        ("'5'", "5"),
        ('"null"', "null"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("[1, no, {a: 1e3}]", [1, "no", {"a": 1000.0}]),
        ("<<", "<<"),
    ],
)
def test_value(text: str, value: object) -> None:
    found = parse_value(text, "--set")
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    assert math.isnan(parse_value(".nan", "--set"))


# What YAML writes as it stands; JSON's escaped pairs of surrogates are no YAML.
_texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp")))
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts


@given(st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(_texts, inner), max_leaves=8))
def test_json_is_yaml(value: object) -> None:
    assert parse_value(json.dumps(value, ensure_ascii=False), "--set") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_round_trip_unquoted(value: float) -> None:
    found = parse_value(repr(value), "--set")
    assert found == value
    assert isinstance(found, float)


@given(st.integers())
def test_integers_round_trip_unquoted(value: int) -> None:
    assert parse_value(str(value), "--set") == value


def test_origins(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nstages:\n  a:\n    n: [1,\n      2]\n")
    assert read_yaml(path, "r.yaml").origins == {
        "name": "r.yaml:1",
        "stages": "r.yaml:2",
        "stages.a": "r.yaml:3",
        "stages.a.n": "r.yaml:4",
        "stages.a.n.0": "r.yaml:4",
        "stages.a.n.1": "r.yaml:5",
    }


def test_anchors_are_followed(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "a: &x {n: 1}\nb: *x\n"), "r.yaml").value == {"a": {"n": 1}, "b": {"n": 1}}


MERGES = """
base: &base
  n: 1
  deep: {x: 1, y: 2}
other: &other {m: 3, n: 9, deep: {z: 1}}
one:
  <<: *base
  n: 5
two: {<<: [*base, *other]}
whole: {<<: *base, deep: {x: 7}}
quoted: {"<<": 1}
"""


def test_merge_keys(tmp_path: Path) -> None:
    """What a map has itself wins, then what the first source has; a map inside is taken or replaced whole."""
    found = read_yaml(write(tmp_path, MERGES), "r.yaml")
    assert found.value["one"] == {"n": 5, "deep": {"x": 1, "y": 2}}
    assert found.value["two"] == {"n": 1, "deep": {"x": 1, "y": 2}, "m": 3}
    assert found.value["whole"] == {"n": 1, "deep": {"x": 7}}
    assert found.value["quoted"] == {"<<": 1}


def test_what_a_merge_brings_stands_where_it_is_written(tmp_path: Path) -> None:
    origins = read_yaml(write(tmp_path, MERGES), "r.yaml").origins
    assert {key: line for key, line in origins.items() if key.startswith("one")} == {
        "one": "r.yaml:5",
        "one.n": "r.yaml:7",
        "one.deep": "r.yaml:3",
        "one.deep.x": "r.yaml:3",
        "one.deep.y": "r.yaml:3",
    }
    assert {key: line for key, line in origins.items() if key.startswith("two.")} == {
        "two.n": "r.yaml:2",
        "two.deep": "r.yaml:3",
        "two.deep.x": "r.yaml:3",
        "two.deep.y": "r.yaml:3",
        "two.m": "r.yaml:4",
    }
    assert "whole.deep.y" not in origins


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a {<<: *a}\n", "r.yaml:1: an alias refers to the value that it is part of."),
        ("a: {<<: 1}\n", "r.yaml:1: '<<' takes a map that is defined elsewhere, or a list of such maps: `<<: *base`."),
        ("a: &a {n: 1}\nb: {<<: [*a, 2]}\n", "r.yaml:2: '<<' takes a map that is defined elsewhere"),
        (
            "a: &a {n: 1}\nb: {<<: *a, <<: *a}\n",
            "r.yaml:2: the key '<<' is given twice; write `<<: [*first, *second]`.",
        ),
        ("a: 1\nb: 2\na: 3\n", "r.yaml:3: the key 'a' is given twice, first on line 1; keep one of them."),
        ("a: {b: 1, b: 2}\n", "r.yaml:1: the key 'b' is given twice, first on line 1; keep one of them."),
        (
            "a: 1\nb: !!python/object:os.system x\n",
            "r.yaml:2: the tag !!python/object:os.system is not part of YAML's core schema",
        ),
        ("a: !mine {b: 1}\n", "r.yaml:1: the tag !mine is not part of YAML's core schema; write a plain value."),
        ("a: !!binary aGk=\n", "r.yaml:1: the tag !!binary is not part"),
        ("a: !!int x\n", "r.yaml:1: 'x' is not a value of type int."),
        ("a: 1\n3: 2\n", "r.yaml:2: a key must be text, got 3; put it in quotes."),
        ("? [a]\n: 1\n", "r.yaml:1: a key must be text, got nothing; put it in quotes."),
        ("a: &x [*x]\n", "r.yaml:1: an alias refers to the value that it is part of."),
        ("a: [1\nb: 2\n", "r.yaml:2: not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "r.yaml:2: not valid YAML: "),
        ("a: 1\nb: \x07\n", "r.yaml:2: not valid YAML: the character U+0007 is not allowed in a file."),
        ("- a\n", "r.yaml:1: expected a mapping such as `name: ...`, got a list."),
        ("", "r.yaml:1: expected a mapping such as `name: ...`, got nothing."),
    ],
)
def test_refusal(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_yaml(write(tmp_path, text), "r.yaml")
    assert str(caught.value).startswith(message)


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(
        RecipeError, match=r"^r\.yaml: not UTF-8 text \(invalid start byte at byte 3\)\. Save the file as UTF-8\.$"
    ):
        read_yaml(tmp_path / "r.yaml", "r.yaml")


def test_tabs_that_indent_are_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^r\.yaml:2: not valid YAML: .* Indent with spaces; a tab is none\.$"):
        read_yaml(write(tmp_path, "a:\n\tb: 1\n"), "r.yaml")
