"""`reasoning_gym`: distinct problems far apart, and the generator's own scorer as judge."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.grading import checker
from data_gen.grading.generators import generator, pack, settings_at, unpack
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.tasks.reasoning_gym import EVALUATES, ReasoningGym


def made(generator: str, **settings: Any) -> ReasoningGym:
    return ReasoningGym.model_validate(
        {"uses": "reasoning_gym", "generator": generator, "train": 20, "dev": 5, "test": 10, **settings}
    )


def test_a_scorer_that_runs_answers_as_code_must_be_allowed() -> None:
    with pytest.raises(ValidationError, match="run_answers_as_code: true"):
        made("n_queens")
    assert made("n_queens", run_answers_as_code=True).generator == "n_queens"


def test_splits_have_their_sizes_and_share_no_question() -> None:
    # One-digit sums of two terms: a few hundred questions, so that independent draws would collide.
    task = made(
        "chain_sum",
        config={"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
        train=60,
        dev=20,
        test=40,
    )
    questions = {split: [p.question for p in task.problems(split)] for split in task.splits()}
    assert {split: len(q) for split, q in questions.items()} == {"train": 60, "dev": 20, "test": 40}
    assert len({q for qs in questions.values() for q in qs}) == 120
    assert task.disjoint_splits


def test_the_same_configuration_gives_the_same_problems_and_another_seed_others() -> None:
    test = list(made("chain_sum").problems("test"))
    assert test == list(made("chain_sum").problems("test"))
    assert not {p.question for p in test} & {p.question for p in made("chain_sum", seed=1).problems("test")}


def test_the_test_split_does_not_depend_on_the_size_of_train() -> None:
    assert list(made("chain_sum", train=3).problems("test")) == list(made("chain_sum", train=30).problems("test"))


# Tuples in the entry (rearc), several right answers (countdown, n_queens), partial credit (word_sorting), plain
# equality (chain_sum).
@pytest.mark.parametrize(
    "generator", ["chain_sum", "countdown", "gsm_symbolic", "n_queens", "rearc", "word_sorting", "simple_equations"]
)
def test_gold_is_correct_by_the_generators_scorer_and_nonsense_is_not(generator: str) -> None:
    task = made(generator, test=3, run_answers_as_code=generator in EVALUATES)
    for problem in task.problems("test"):
        unshortened = replace(problem, gold=None)
        assert task.grade(unshortened, Answer(problem.gold)) == Grade(Verdict.CORRECT, "generator")
        assert [task.grade(problem, Answer(a)).verdict for a in ("no idea", "", None)] == [Verdict.WRONG] * 3


def test_a_second_right_answer_is_correct() -> None:
    task = made("countdown", test=1, run_answers_as_code=True)
    [problem] = task.problems("test")
    other = f"0 + {problem.gold}" if problem.gold is None else f"({problem.gold})"
    assert task.grade(problem, Answer(other)).verdict is Verdict.CORRECT


def test_a_generator_without_one_gold_is_still_judged() -> None:
    task = made("graph_color", test=1)
    [problem] = task.problems("test")
    assert problem.gold is None
    possible = json.loads(problem.payload)["metadata"]["possible_answer"]
    pairs = possible["__items__"] if "__items__" in possible else possible.items()
    answer = json.dumps({str(k): v for k, v in pairs})
    assert task.grade(problem, Answer(answer)).verdict is Verdict.CORRECT
    assert task.grade(problem, Answer("{}")).verdict is Verdict.WRONG


def test_an_answer_that_the_scorer_trips_over_is_wrong() -> None:
    task = made("prime_factorization", test=1)
    [problem] = task.problems("test")
    grade = task.grade(problem, Answer("no idea"))
    assert (grade.verdict, grade.reason) == (Verdict.WRONG, "unreadable")


def test_the_gold_itself_needs_no_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "_CHECKER", checker.Checker())
    task = made("chain_sum", test=1)
    [problem] = task.problems("test")
    assert task.grade(problem, Answer(problem.gold)) == Grade(Verdict.CORRECT, "text")
    assert checker._CHECKER.worker.process is None


def test_an_answer_that_hangs_the_scorer_is_wrong_and_the_next_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checker, "_CHECKER", checker.Checker(cpu_seconds=2.0))
    task = made("polynomial_multiplication", test=1, run_answers_as_code=True)
    [problem] = task.problems("test")
    assert task.grade(problem, Answer("9**9**9**9")) == Grade(Verdict.WRONG, "timeout")
    assert task.grade(problem, Answer(f"0 + {problem.gold}")) == Grade(Verdict.CORRECT, "generator")
    assert task.grade(problem, Answer("0")) == Grade(Verdict.WRONG, "generator")


def test_gsm_symbolic_brings_worked_steps() -> None:
    for problem in made("gsm_symbolic").problems("dev"):
        assert problem.gold_steps and not any("####" in step for step in problem.gold_steps)


def test_a_number_in_another_spelling_is_the_same_answer() -> None:
    task = made("chain_sum", test=1)
    [problem] = task.problems("test")
    assert task.grade(problem, Answer(f"{problem.gold}.0")) == Grade(Verdict.CORRECT, "generator")
    assert task.grade(problem, Answer(f"{problem.gold}.5")).verdict is Verdict.WRONG
    assert task.same(problem, "5", "5.0") and not task.same(problem, "5", "5.5")


def test_another_grader_may_be_named() -> None:
    task = made("chain_sum", test=1, grader="auto")
    [problem] = task.problems("test")
    assert task.grade(problem, Answer(f"{problem.gold}.0")) == Grade(Verdict.CORRECT, "integer")


def test_a_scorer_that_takes_any_answer_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"scorer of 'game_of_life_halting' takes every answer for right"):
        made("game_of_life_halting")
    assert made("game_of_life_halting", grader="yes_no").grader.uses == "yes_no"


@pytest.mark.parametrize("field", ["seed", "size"])
def test_seeds_and_sizes_are_the_tasks_own(field: str) -> None:
    with pytest.raises(ValidationError, match=rf"config: '{field}' is set for every split"):
        made("chain_sum", config={field: 7})


def test_splits_with_items_of_one_seed_overlap_whatever_their_settings() -> None:
    one, other = made("chain_sum"), made("chain_sum", train=500, config={"min_terms": 3})
    assert one.origin("train").overlaps(other.origin("train"))
    assert not one.origin("train").overlaps(other.origin("test"))
    assert not one.origin("train").overlaps(made("chain_sum", seed=1).origin("train"))
    assert not one.origin("train").overlaps(made("gcd").origin("train"))
    # Why: item i of a seed is item 0 of the seed i further on.
    first, further = (generator("chain_sum", json.dumps({"seed": seed, "size": 3})) for seed in (40, 41))
    assert first[1]["question"] == further[0]["question"]


def test_levels_are_those_of_the_generators_curriculum() -> None:
    [easy], [hard] = (list(made("chain_sum", level=level, test=1).problems("test")) for level in (0, 3))
    assert easy.tags["level"] == "0" and hard.tags["level"] == "3"
    assert settings_at("chain_sum", 0) == {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    assert settings_at("chain_sum", 3) == {"min_terms": 2, "max_terms": 5, "min_digits": 1, "max_digits": 4}
    assert settings_at("chain_sum", 10)["max_digits"] == 10
    [own] = made("chain_sum", level=3, config={"min_terms": 5, "max_terms": 5}, test=1).problems("test")
    assert json.loads(own.payload)["config"] == {"min_terms": 5, "max_terms": 5, "min_digits": 1, "max_digits": 4}
    assert own.question.count(" + ") + own.question.count(" - ") == 4


def test_the_raw_score_is_a_column() -> None:
    task = made("word_sorting", test=1, measures=["score"])
    [problem] = task.problems("test")
    words = (problem.gold or "").split(", ")
    for answer in (problem.gold, ", ".join(words[::-1])):
        grade = task.grade(problem, Answer(answer))
        made_of = Solution(
            problem_id=problem.id,
            sample=0,
            prompt="",
            segments=(),
            answer=answer,
            verdict=grade.verdict,
            finish="stop",
            score=grade.score,
        )
        assert task.measure(problem, made_of) == {"score": grade.score}
    assert 0 < (grade.score or 0) < 1 and grade.verdict is Verdict.WRONG


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
        | st.dictionaries(st.integers() | st.tuples(st.integers(), st.integers()), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_entries_survive_json(value: Any) -> None:
    assert unpack(json.loads(json.dumps(pack(value)))) == value


@pytest.mark.parametrize(
    ("generator", "settings", "message"),
    [
        (
            "chain_summ",
            {},
            r"task\.generator: reasoning-gym has no generator 'chain_summ'\. Did you mean 'chain_sum'\?",
        ),
        ("gsm_symbolic", {"level": 1}, r"task\.level: the generator 'gsm_symbolic' has no curriculum"),
        ("gcdd", {"level": 1}, r"task\.generator: reasoning-gym has no generator 'gcdd'"),
        ("chain_sum", {"level": 11}, r"task\.level: the generator 'chain_sum' has the levels 0 to 10, got 11"),
        ("chain_sum", {"config": {"min_term": 2}}, r"task\.config: the generator 'chain_sum' refuses .*min_term"),
        ("chain_sum", {"config": {"min_terms": -2}}, r"task\.config: .*min_terms must be positive"),
        (
            "chain_sum",
            {"config": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}, "test": 2000},
            r"task\.test: the generator 'chain_sum' has too few distinct questions: \d+ of 2000 are missing",
        ),
    ],
)
def test_what_the_generator_cannot_do_is_said(generator: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(made(generator, **settings).problems("test"))


def test_an_unknown_split_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"task\.tset: no split 'tset' in this task\. Did you mean 'test'\?"):
        next(made("chain_sum").problems("tset"))
