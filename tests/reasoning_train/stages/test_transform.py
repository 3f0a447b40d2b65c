"""`transform` through the worker: order, copies, counts, gates, and a transform of a plug-in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.registry import Registry
from data_gen.transforms import Transform
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.store.store import Artifact
from tests.data_gen.transforms.test_transforms import worked
from tests.reasoning_train.bench import Bench, problem, rows_of, solution

LAST = {"uses": "keep_last", "n": 1}


def transform(bench: Bench, *apply: Any, rows: Sequence[Solution] = (), name: str = "out", **config: Any) -> Artifact:
    if "problems" not in bench.nodes:
        bench.problems("problems", [problem("p"), problem("q"), problem("r")])
        bench.solutions("rows", rows or [worked(3), worked(2, sample=1), solution("r", "text", group="r")])
    given = {"problems": Ref("problems"), "solutions": Ref("rows"), **config}
    return bench.make(name, "transform", apply=list(apply), **given)


def test_one_after_the_other(bench: Bench) -> None:
    artifact = transform(bench, LAST, "shortest")
    rows = [Solution.from_row(row) for row in rows_of(artifact)]
    assert [(row.problem_id, row.sample, row.text) for row in rows] == [
        ("p", 0, "step 2\nAnswer: 12"),
        ("r", 0, "text"),
    ]
    assert artifact.manifest["counts"] == {"in": 3, "out": 2, "dropped.shortest": 1}


def test_copies_have_choices_and_numbers_of_their_own(bench: Bench) -> None:
    drop = {"uses": "drop_steps", "share": 0.5}
    rows = [worked(40)]
    artifact = transform(bench, drop, rows=rows, copies=3)
    made = [Solution.from_row(row) for row in rows_of(artifact)]
    assert [row.sample for row in made] == [0, 1, 2]
    assert len({row.text for row in made}) == 3
    [first] = rows_of(transform(bench, drop, name="once"))
    assert Solution.from_row(first).text == made[0].text


def test_what_is_left_out_is_counted_and_gated(bench: Bench) -> None:
    with pytest.raises(
        GateError, match=r"transform: 1 of 3 rows were left out \(1 by 'shortest'\), more than max_drop"
    ):
        transform(bench, "shortest", max_dropped=0.3)
    with pytest.raises(GateError, match=r"transform: 2 rows, fewer than min_rows=3 \(left out: 1 by 'shortest'\)"):
        transform(bench, "shortest", name="few", min_rows=3)


def test_solutions_of_other_problems_are_refused(bench: Bench) -> None:
    with pytest.raises(UserError, match="solutions: problem 'z' is not among the problems"):
        transform(bench, LAST, rows=[solution("z", "text", group="z")])


def test_a_plug_ins_transform_is_one_class_and_no_edit() -> None:
    kinds: Registry[type[Transform]] = Registry("transform", package="data_gen.transforms", group="none")

    @kinds.register("backwards")
    class Backwards(Transform):
        """Rows from the last to the first."""

        uses: Literal["backwards"] = "backwards"

        def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
            return list(reversed(rows))

    made: Transform = TypeAdapter(kinds.union()).validate_python("backwards")
    rows = [worked(1), worked(2)]
    assert list(made(problem("p"), rows, random.Random(0))) == rows[::-1]
