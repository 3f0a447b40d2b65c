"""`pick_problems` by hand: every criterion, its bounds, its counts and its messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import Bench, problem, rows_of, solution
from tests.reasoning_train.evaluation import rows as tables
from tests.reasoning_train.recipe.kitchen import load

TAGGED = [
    problem("a", difficulty=1.0, tags={"subject": "algebra"}),
    problem("b", difficulty=2.0, tags={"subject": "geometry"}),
    problem("c", difficulty=3.0, tags={"subject": "algebra", "level": "3"}),
    problem("d"),
]


def pick(bench: Bench, name: str = "picked", **config: Any) -> Artifact:
    if "problems" not in bench.nodes:
        bench.problems("problems", TAGGED, disjoint_splits=True)
    return bench.make(name, "pick_problems", problems=Ref("problems"), **config)


def ids(artifact: Artifact) -> str:
    return "".join(row["id"] for row in rows_of(artifact))


def sampled(bench: Bench, **right: str) -> Ref:
    """`sampled(bench, a="++-?")`: verdicts of the samples of each problem, `?` unverifiable."""
    names = {"+": "correct", "-": "wrong", "?": "unverifiable"}
    rows = [
        solution(p, str(i), sample=i, verdict=names[mark], group=p)
        for p, marks in right.items()
        for i, mark in enumerate(marks)
    ]
    return bench.solutions("samples", rows)


@pytest.mark.parametrize(
    ("solved", "kept"),
    [([0.25, 0.5], "ab"), ([0.5, 0.5], "b"), ([0.0, 0.3], "a"), ([0.0, 1.0], "abc"), ([1.0, 1.0], "c")],
)
def test_solve_rates_count_verifiable_samples_and_include_both_ends(
    bench: Bench, solved: list[float], kept: str
) -> None:
    pool = sampled(bench, a="+---", b="+-??", c="+", d="??")
    assert ids(pick(bench, solutions=pool, solved=solved)) == kept


def test_the_first_reason_is_counted(bench: Bench) -> None:
    artifact = pick(
        bench, difficulty=[1, 3], tags={"subject": "algebra"}, solutions=sampled(bench, a="+"), solved=[0, 1]
    )
    assert ids(artifact) == "a"
    assert artifact.manifest["counts"] == {
        "in": 4,
        "out": 1,
        "dropped.difficulty": 1,
        "dropped.tag.subject": 1,
        "dropped.no_solutions": 1,
    }
    assert artifact.manifest["metrics"]["disjoint_splits"] is True
    assert (artifact.path / "data" / "tasks.json").exists()


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({"difficulty": [2, 3]}, "bc"),
        ({"tags": {"subject": ["geometry", "algebra"]}}, "abc"),
        ({"tags": {"subject": "algebra", "level": "3"}}, "c"),
        ({"tags": {"level": 3}}, "c"),
        ({"tags": {"difficulty": [1, 3], "subject": "algebra"}}, "ac"),
    ],
)
def test_difficulty_and_tags(bench: Bench, config: dict[str, Any], kept: str) -> None:
    assert ids(pick(bench, **config)) == kept


def test_a_misspelt_tag_is_told(bench: Bench) -> None:
    with pytest.raises(UserError, match="tags: no problem has a tag 'subjct'. Did you mean 'subject'?"):
        pick(bench, tags={"subjct": "algebra"})


def table(bench: Bench) -> Ref:
    """`base` is right of p0 and p2, `tuned` of p1."""
    rows = [*tables.rows("base", [True, False, True]), *tables.rows("tuned", [False, True, False])]
    bench.problems("problems", [problem(f"p{i}") for i in range(3)] + [problem("unasked")])
    return bench.given("table", "t_evaluation", rows)


def test_the_outcome_of_a_named_row(bench: Bench) -> None:
    source = table(bench)
    assert ids(pick(bench, table=source, row="base", outcome="right")) == "p0p2"
    wrong = pick(bench, "missed", table=source, row="base", outcome="wrong")
    assert ids(wrong) == "p1"
    assert wrong.manifest["counts"] == {"in": 4, "out": 1, "dropped.outcome": 2, "dropped.no_outcome": 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (None, "'table' has several rows; name one of base, tuned"),
        ("bse", "no row 'bse'. Did you mean 'base'?"),
    ],
)
def test_a_row_that_is_not_there_is_named(bench: Bench, row: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        pick(bench, table=table(bench), row=row, outcome="right")


def test_nothing_left_is_refused(bench: Bench) -> None:
    with pytest.raises(GateError, match="pick_problems: 0 problems of problems are left, fewer than min_rows=1"):
        pick(bench, difficulty=[9, 10])


RECIPE = """
    name: picked
    task: {uses: k_task}
    model: {init: {}, tokenizer: task}
    stages:
      pool: {uses: sample, policy: "${model}", problems: "${task.train}"}
      eval: {uses: evaluate, policies: {base: "${model}", other: "${model}"}, problems: "${task.train}"}
      picked: {uses: pick_problems, problems: "${task.train}", solutions: "${stages.pool}", solved: [0.25, 0.625]}
"""


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{}", "give at least one of solved, difficulty, tags and outcome"),
        ("{solved: [0, 1]}", "solutions, solved: they belong together; give both or neither"),
        ("{outcome: right}", "table, outcome: they belong together"),
        ("{row: base, tags: {a: b}}", "row: it names a row of `table`, which is missing"),
        ("{difficulty: [3, 1]}", "difficulty: expected [low, high] with low <= high, got [3.0, 1.0]"),
        (
            '{solutions: "${stages.pool}", solved: [0, 2]}',
            "solved: expected [low, high] with low <= high within 0 and 1, got [0.0, 2.0]",
        ),
        (
            '{table: "${stages.eval}", outcome: right}',
            "row: the table 'eval' has several rows; name one of base",
        ),
        (
            '{table: "${stages.eval}", outcome: right, row: bas}',
            "row: the table 'eval' has no row 'bas'. Did you mean 'base'?",
        ),
    ],
)
def test_what_does_not_fit_is_told_at_load(tmp_path: Path, config: str, message: str) -> None:
    text = RECIPE.replace(
        ', solutions: "${stages.pool}", solved: [0.25, 0.625]}', f", {config[1:-1]}}}".replace(", }", "}")
    )
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)


def test_solutions_of_another_split_are_told_at_load(tmp_path: Path) -> None:
    assert load(tmp_path, RECIPE).nodes["picked"].seed is None
    with pytest.raises(RecipeError, match="'pool' made these rows for task.train, but here they are"):
        load(tmp_path, RECIPE, "stages.picked.problems=${task.test}")
