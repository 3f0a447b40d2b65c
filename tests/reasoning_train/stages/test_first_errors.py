"""Step-DPO's data from plain solutions: first errors found, steps drawn anew, pairs; with a policy that knows its
problems by heart."""

from __future__ import annotations

from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.records.labels import StepPair
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from reasoning_train.api.refs import Ref
from reasoning_train.stages.search import SearchConfig
from tests.reasoning_train.bench import CHAIN, Bench, rows_of, solution
from tests.reasoning_train.stages.test_sft import train

TASK = {**CHAIN, "train": 4, "steps": [2, 2]}


@pytest.fixture
def learned(bench: Bench, one_thread: None) -> Bench:
    """`tuned` has learned the 4 problems of `gold.problems`."""
    bench.model()
    bench.gold(task=TASK)
    until = {"problems": Ref("gold.problems"), "accuracy": 1.0, "every": 20, "max_tokens": 60}
    train(bench, learning_rate=0.02, max_steps=600, schedule="constant", until=until)
    return bench


def problems(bench: Bench) -> list[Problem]:
    return [Problem.from_row(row) for row in rows_of(bench.run("gold.problems"))]


def spoiled(problem: Problem) -> Solution:
    """The gold solution with its second step wrong, as text: `... = 45` becomes `... = 99`."""
    first, second = problem.gold_steps
    wrong = f"{second.rsplit(' ', 1)[0]} 99"
    segments = (
        Segment(kind=Kind.STEP, text=f"{first}\n"),
        Segment(kind=Kind.STEP, text=f"{wrong}\n"),
        Segment(kind=Kind.ANSWER, text="Answer: 99"),
    )
    return solution(problem.id, "", segments=segments, verdict="wrong", answer="99")


def search(bench: Bench, name: str, **config: Any) -> Any:
    how = {"uses": "first_error", "samples": 1, "corrections": 4, "max_length": 60, "expand": {"temperature": 0.3}}
    return bench.make(
        name, "search", policy=Ref("tuned"), problems=Ref("gold.problems"), gold=True, **{"search": how, **config}
    )


def test_wrong_solutions_become_pairs_of_a_right_and_the_wrong_step(learned: Bench) -> None:
    given = problems(learned)
    learned.solutions("wrong", [spoiled(problem) for problem in given])
    trees = search(learned, "mended", solutions=Ref("wrong"))
    assert {row["source"] for row in rows_of(trees)} == {"policy", "rollout", "replayed"}
    pairs = learned.make("pairs", "step_pairs", trees=Ref("mended"), policy=Ref("tuned"), pairs={"uses": "first_error"})
    found = [StepPair.from_row(row) for row in rows_of(pairs)]
    assert [pair.problem_id for pair in found] == [problem.id for problem in given]
    for pair, problem in zip(found, given, strict=True):
        assert pair.chosen == f"{problem.gold_steps[1]}\n"
        assert pair.rejected == f"{problem.gold_steps[1].rsplit(' ', 1)[0]} 99\n"
        assert pair.prompt.endswith(f"{problem.gold_steps[0]}\n")
        assert pair.end_mark == "none"


def test_rollouts_of_first_errors_are_solutions_and_values_too(learned: Bench) -> None:
    """The tokens that were drawn to correct a step serve SFT and verifiers again."""
    learned.solutions("wrong", [spoiled(problem) for problem in problems(learned)])
    search(learned, "mended", solutions=Ref("wrong"))
    common = {"trees": Ref("mended"), "policy": Ref("tuned")}
    paths = learned.make("paths", "sft_paths", **common)
    assert {row["problem_id"] for row in rows_of(paths)} == {problem.id for problem in problems(learned)}
    values = rows_of(learned.make("values", "value_targets", targets={"uses": "mc"}, **common))
    wrong = next(row for row in values if row["outcome"] == 0.0)
    # The corrections were drawn from the first step: four of them, nearly all right. Of the wrong step nobody drew any.
    assert wrong["total"][0] == 4.0 and wrong["correct"][0] >= 2.0
    assert wrong["at"] == [wrong["ends"][0], wrong["ends"][2]]


def test_a_search_without_whole_solutions_takes_none() -> None:
    with pytest.raises(
        ValueError,
        match="solutions: search 'mcts' draws its own steps .* These searches can: best_of_n, first_error, iid, omega",
    ):
        SearchConfig(
            policy=Ref("m"),
            problems=Ref("p"),
            solutions=Ref("s"),
            gold=True,
            search={"uses": "mcts"},
            scorer={"uses": "constant"},
        )  # type: ignore[arg-type]


def test_solutions_of_other_problems_or_in_another_order_are_refused_at_once(learned: Bench) -> None:
    first, second, *_ = problems(learned)
    learned.solutions("reversed", [spoiled(second), spoiled(first)])
    with pytest.raises(UserError, match=f"solutions: problem '{first.id}' is not among the problems"):
        search(learned, "a", solutions=Ref("reversed"))
    learned.solutions("others", [solution("elsewhere", "12 + 8 = 20\n")])
    with pytest.raises(UserError, match="solutions: problem 'elsewhere' is not among the problems"):
        search(learned, "b", solutions=Ref("others"))


def test_solutions_to_another_prompt_are_refused(learned: Bench) -> None:
    [first, *_] = problems(learned)
    learned.solutions("strange", [solution(first.id, "12 + 8 = 20\n", prompt_ids=(1, 2, 3))])
    with pytest.raises(UserError, match="continue another prompt than this policy's. Put stage `recode_solutions`"):
        search(learned, "a", solutions=Ref("strange"))
