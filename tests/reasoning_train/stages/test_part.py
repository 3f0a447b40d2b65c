"""`part`: disjoint, complete, by group, unmoved by growth."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.stages.part import PartConfig, part, part_of
from tests.reasoning_train.bench import Bench, problem, rows_of
from tests.reasoning_train.recipe.kitchen import load


def test_parts_share_nothing_and_hold_everything_in_order(bench: Bench) -> None:
    names = [f"p{i}" for i in range(30)]
    source = bench.problems("all", [problem(name) for name in names], disjoint_splits=True)
    parts = [bench.make(f"part{k}", "part", problems=source, part=k, of=3) for k in (1, 2, 3)]
    found = [[row["id"] for row in rows_of(part)] for part in parts]
    every = [name for ids in found for name in ids]
    assert sorted(every, key=names.index) == names
    assert all(ids == sorted(ids, key=names.index) for ids in found)
    assert parts[0].manifest["metrics"]["disjoint_splits"] is True
    assert parts[0].manifest["counts"] == {"in": 30, "out": len(found[0]), "dropped.other_part": 30 - len(found[0])}
    assert (parts[0].path / "data" / "tasks.json").exists()


def test_problems_of_one_group_stay_together(bench: Bench) -> None:
    source = bench.problems("all", [problem(f"p{i}", group=f"g{i // 4}") for i in range(40)])
    parts = [rows_of(bench.make(f"part{k}", "part", problems=source, part=k, of=2)) for k in (1, 2)]
    first, second = ({row["group"] for row in rows} for rows in parts)
    assert not first & second
    assert len(first | second) == 10


@given(st.text(), st.integers(1, 12), st.integers(-5, 5))
def test_a_part_is_decided_by_the_group_alone(group: str, of: int, salt: int) -> None:
    assert 1 <= part_of(group, of, salt) <= of
    assert part_of(group, of, salt) == part_of(group, of, salt)


def test_parts_are_of_about_one_size_and_another_salt_divides_otherwise() -> None:
    parts = [part_of(f"g{i}", 4) for i in range(4000)]
    assert all(900 < parts.count(k) < 1100 for k in (1, 2, 3, 4))
    assert 900 < sum(part_of(f"g{i}", 4, salt=1) == part for i, part in enumerate(parts)) < 1100


@pytest.mark.parametrize(("rows", "of", "most"), [(2000, 1, 2000), (2000, 3, 751), (8, 2, 8), (100, 4, 43)])
def test_the_plan_expects_hardly_more_rows_than_a_part_has(rows: int, of: int, most: int) -> None:
    """rows / of + 4 * sqrt(rows * (1 / of) * (1 - 1 / of)), rounded up, but no more than all."""
    config = PartConfig(problems=Ref("all"), part=1, of=of)
    assert part.estimator and part.estimator(config, lambda ref: {"rows": rows, "tokens": 5}) == {"rows": most}
    sizes = [sum(part_of(f"p{i}", of, salt) == 1 for i in range(rows)) for salt in range(20)]
    assert max(sizes) <= most
    assert part.estimator(config, lambda ref: {}) == {}


def test_an_empty_part_is_refused(bench: Bench) -> None:
    source = bench.problems("all", [problem("p")])
    empty = next(k for k in (1, 2) if part_of("p", 2) != k)
    with pytest.raises(GateError, match=f"part: part {empty} of 2 of all has no problem. Divide into fewer parts"):
        bench.make("part", "part", problems=source, part=empty, of=2)


ROUNDS = """
    name: rounds
    task: {uses: chain, explore: 40}
    rounds:
      grow:
        max: 3
        policy: fresh
        stages:
          fresh: {uses: part, problems: "${task.explore}", part: "${round}", of: 3}
"""


def test_every_round_has_fresh_problems(tmp_path: Path) -> None:
    nodes = load(tmp_path, ROUNDS).nodes
    assert [nodes[f"rounds.grow.{k}.fresh"].config["part"] for k in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(RecipeError, match="there are 3 parts .*, so part 4 does not exist; raise `of`"):
        load(tmp_path, ROUNDS, "rounds.grow.max=4")
