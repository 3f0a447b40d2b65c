"""`recode_solutions` through the worker: a teacher's solutions become rows that the student may train on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_gen.errors import UserError
from data_gen.records.solution import Solution
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.trainers.data.solutions import encode_solutions
from tests.data_gen.labelling.test_recode_solutions import GIVEN, QUESTION, taught
from tests.reasoning_train.bench import Bench, rows_of

LOST = taught(("step", "seven apples\n"), ("answer", "Answer: 7"))


def rows(n: int, first: Solution = GIVEN) -> list[Solution]:
    return [replace(first if i == 0 else GIVEN, problem_id=f"p{i}") for i in range(n)]


def test_sft_refuses_a_teachers_rows_and_takes_them_recoded(kitchen: Bench) -> None:
    kitchen.solutions("taught", rows(4))
    train = {"policy": Ref("model"), "learning_rate": 1e-3, "max_steps": 1, "batch_size": 4}
    with pytest.raises(UserError, match="but this model is asked .*Put stage `recode_solutions` before this one"):
        kitchen.make("deaf", "sft", data=Ref("taught"), **train)
    made = kitchen.make("theirs", "recode_solutions", solutions=Ref("taught"), model=Ref("model"))
    assert made.manifest["counts"] == {"in": 4, "out": 4}
    kitchen.make("student", "sft", data=Ref("theirs"), **train)
    codec = kitchen.policy().codec
    for row in encode_solutions(map(Solution.from_row, rows_of(made)), codec, 512).rows:
        asked = codec.prompt_ids(QUESTION)
        assert list(row.traces[0].ids[: len(asked)]) == asked


def test_rows_that_do_not_survive_are_counted_gated_and_shown(kitchen: Bench) -> None:
    kitchen.solutions("taught", rows(4, LOST))
    given = {"solutions": Ref("taught"), "model": Ref("model")}
    made = kitchen.make("theirs", "recode_solutions", max_dropped=0.25, **given)
    assert made.manifest["counts"] == {"in": 4, "out": 3, "dropped.unreadable": 1}
    said = r"3 of 4 rows of taught survive.*=0.05\). Dropped as unreadable: 1, the first: problem 'p0', 'seven"
    with pytest.raises(GateError, match=said):
        kitchen.make("strict", "recode_solutions", **given)
