"""`transform` through the worker: order, copies, counts, gates, and a transform of a plug-in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.registry import Registry
from data_gen.transforms import Transform
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.store.store import Artifact
from tests.data_gen.transforms.test_transforms import worked
from tests.reasoning_train.bench import Bench, points, problem, rows_of, solution

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
    drop = {"uses": "drop", "levels": [{"share": 0.5}]}
    rows = [worked(40)]
    artifact = transform(bench, drop, rows=rows, copies=3)
    made = [Solution.from_row(row) for row in rows_of(artifact)]
    assert [row.sample for row in made] == [0, 1, 2]
    assert len({row.text for row in made}) == 3
    assert artifact.manifest["counts"] == {"in": 3, "out": 3, "drop.0": 3}
    [first] = rows_of(transform(bench, drop, name="once"))
    assert Solution.from_row(first).text == made[0].text


def test_what_is_left_out_is_counted_and_gated(bench: Bench) -> None:
    with pytest.raises(
        GateError, match=r"transform: 1 of 3 rows were left out \(1 by 'shortest'\), more than max_drop"
    ):
        transform(bench, "shortest", max_dropped=0.3)
    with pytest.raises(GateError, match=r"transform: 2 rows, fewer than min_rows=3 \(left out: 1 by 'shortest'\)"):
        transform(bench, "shortest", name="few", min_rows=3)


CHAINED = solution(
    "p",
    "",
    group="p",
    verdict="correct",
    steps_ok=True,
    segments=(Segment(kind="step", text="10 + 2 = 12\n"), Segment(kind="answer", text="Answer: 12")),
)


@pytest.mark.parametrize(
    ("rule", "answer", "verdict", "steps_ok"),
    [
        ({"pattern": "$", "to": " ", "kinds": ["answer"]}, "12", "correct", True),
        ({"pattern": "12", "to": "13"}, "13", "wrong", False),
        ({"pattern": "12", "to": "13", "kinds": ["step"]}, "12", "correct", False),
        ({"pattern": "Answer: 12", "to": "So 12."}, None, "wrong", True),
    ],
)
def test_what_a_changed_text_says_is_read_and_judged_again(
    bench: Bench, rule: dict[str, Any], answer: str | None, verdict: str, steps_ok: bool
) -> None:
    bench.problems("problems", [problem("p", gold_steps=("10 + 2 = 12",))])
    bench.solutions("rows", [CHAINED])
    [row] = rows_of(transform(bench, {"uses": "retext", "rules": [rule]}))
    assert (row["answer"], row["verdict"], row["steps_ok"]) == (answer, verdict, steps_ok)


def test_a_row_that_takes_the_text_of_another_row_does_not_keep_its_own_verdict(bench: Bench) -> None:
    """`13` becomes `12`, which another row said already, and `12` stays."""
    other = replace(CHAINED.segments[1], text="Answer: 13")
    wrong = replace(CHAINED, sample=1, segments=(CHAINED.segments[0], other), answer="13", verdict=Verdict.WRONG)
    bench.problems("problems", [problem("p", gold_steps=("10 + 2 = 12",))])
    bench.solutions("rows", [CHAINED, wrong])
    made = rows_of(transform(bench, {"uses": "retext", "rules": [{"pattern": "13", "to": "12"}]}))
    assert [(row["answer"], row["verdict"], row["steps_ok"]) for row in made] == [("12", "correct", True)] * 2


def test_a_solution_that_was_cut_has_no_answer_in_any_wording(bench: Bench) -> None:
    bench.problems("problems", [problem("p")])
    bench.solutions("rows", [replace(CHAINED, finish="length", answer=None, verdict=Verdict.WRONG)])
    [row] = rows_of(transform(bench, {"uses": "retext", "rules": [{"pattern": " ", "to": "  "}]}))
    assert (row["answer"], row["verdict"], row["finish"]) == (None, "wrong", "length")


def test_answers_alone_train_a_policy(bench: Bench) -> None:
    """Gold without its steps, and the same by a transform: 20 steps of training on equal rows."""
    bench.model()
    bench.gold()
    bare = bench.make("bare", "gold", problems=Ref("gold.problems"), steps="none")
    given = {"problems": Ref("gold.problems"), "solutions": Ref("gold")}
    answers = bench.make("answers", "transform", apply=[{"uses": "render", "form": "answer"}], **given)
    columns = ("problem_id", "completion", "question", "verdict", "answer")
    assert [[row[name] for name in columns] for row in rows_of(answers)] == [
        [row[name] for name in columns] for row in rows_of(bare)
    ]
    trained = bench.make("direct", "sft", policy=Ref("model"), data=Ref("answers"), max_steps=20, learning_rate=0.01)
    losses = [point["loss"] for point in points(trained) if "loss" in point]
    assert losses[-1] < losses[0]


def test_splits_stay_disjoint_by_group(bench: Bench) -> None:
    """Rows that were made of the problems of one part name no problem of the other, in copies and in other words."""
    bench.gold()
    for part in (1, 2):
        bench.make(f"part{part}", "part", problems=Ref("gold.problems"), part=part, of=2)
        bench.make(f"gold{part}", "gold", problems=Ref(f"part{part}"))
        given = {"problems": Ref(f"part{part}"), "solutions": Ref(f"gold{part}")}
        apply = [{"uses": "reprompt", "templates": ["Now: {question}"]}, {"uses": "drop", "levels": [{"share": 0.5}]}]
        bench.make(f"made{part}", "transform", apply=apply, copies=3, **given)
    groups = [{row["group"] for row in rows_of(bench.store.open(bench.nodes[f"made{part}"]))} for part in (1, 2)]
    assert groups[0] and groups[1] and not groups[0] & groups[1]


def test_the_rows_of_a_problem_do_not_depend_on_the_others(bench: Bench) -> None:
    problems, rows = [problem("p"), problem("q")], [worked(9), replace(worked(9), problem_id="q", group="q")]
    drop = {"uses": "drop", "levels": [{"share": 0.5}]}
    made = []
    for i, order in enumerate(([0, 1], [1, 0], [1])):
        bench.problems(f"problems{i}", [problems[k] for k in order])
        bench.solutions(f"rows{i}", [rows[k] for k in order])
        artifact = bench.make(
            f"made{i}", "transform", problems=Ref(f"problems{i}"), solutions=Ref(f"rows{i}"), apply=[drop]
        )
        made.append({row["problem_id"]: row["completion"] for row in rows_of(artifact)})
    assert made[0] == made[1]
    assert made[0]["p"] != made[0]["q"] == made[2]["q"]


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
