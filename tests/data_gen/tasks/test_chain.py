"""`chain`: its splits, its gold steps, its step checker and its dial."""

import itertools

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks.chain import NAMES, TOP, Chain

SMALL = Chain(uses="chain", train=60, explore=40, dev=30, test=50)
PROBLEMS = [p for split in SMALL.splits() for p in SMALL.problems(split)]


def test_splits_have_their_sizes_and_share_no_question() -> None:
    per_split = {split: {p.question for p in SMALL.problems(split)} for split in SMALL.splits()}
    assert {split: len(q) for split, q in per_split.items()} == SMALL.splits()
    assert len(set().union(*per_split.values())) == sum(len(q) for q in per_split.values())
    assert SMALL.disjoint_splits


def test_a_tiny_space_of_problems_is_still_disjoint_across_splits_and_seeds() -> None:
    tasks = [Chain(uses="chain", seed=seed, steps=(1, 1), train=90, dev=40, test=60) for seed in (0, 1)]
    train, dev, test = (
        {p.question for task in tasks for p in task.problems(split)} for split in ("train", "dev", "test")
    )
    assert not train & test and not dev & test and not train & dev


def test_the_same_configuration_gives_the_same_problems_and_another_seed_others() -> None:
    again = [
        p
        for split in SMALL.splits()
        for p in Chain(uses="chain", train=60, explore=40, dev=30, test=50).problems(split)
    ]
    other = list(Chain(uses="chain", seed=1, test=50).problems("test"))
    assert again == PROBLEMS
    assert not {p.question for p in other} & {p.question for p in SMALL.problems("test")}


def test_a_longer_split_begins_with_the_shorter_one() -> None:
    longer = list(Chain(uses="chain", test=80).problems("test"))
    assert longer[:50] == list(SMALL.problems("test"))


def test_ids_are_unique() -> None:
    assert len({p.id for p in PROBLEMS}) == len(PROBLEMS)


def test_gold_steps_lead_from_the_question_to_the_gold_answer() -> None:
    for problem in PROBLEMS:
        value = int(problem.question.split()[2])
        facts = problem.question.split(". ")[1:-1]
        for fact, step in zip(facts, problem.gold_steps, strict=True):
            by, more = int(fact.split()[2]), fact.split()[3] == "more"
            before, value = value, value + by if more else value - by
            assert step.endswith(f"{before} {'+' if more else '-'} {by} = {value}")
            assert 0 <= value <= TOP
        assert problem.gold == str(value)


def test_gold_steps_are_all_right() -> None:
    for problem in PROBLEMS:
        assert SMALL.check_steps(problem, problem.gold_steps) == (True,) * len(problem.gold_steps)


@st.composite
def _spoiled(draw: st.DrawFn) -> tuple[Problem, int, list[str]]:
    problem = draw(st.sampled_from(PROBLEMS))
    steps = list(problem.gold_steps)
    at = draw(st.integers(0, len(steps) - 1))
    marks = [i for i, c in enumerate(steps[at]) if c != " "]
    place = draw(st.sampled_from(marks))
    other = draw(st.sampled_from([c for c in "0123456789+-=" if c != steps[at][place]]))
    steps[at] = steps[at][:place] + other + steps[at][place + 1 :]
    return problem, at, steps


@given(_spoiled())
def test_one_changed_digit_or_sign_makes_its_step_wrong_and_no_other(spoiled: tuple[Problem, int, list[str]]) -> None:
    problem, at, steps = spoiled
    assert SMALL.check_steps(problem, steps) == tuple(i != at for i in range(len(steps)))


@given(st.sampled_from(PROBLEMS), st.data())
def test_missing_extra_and_swapped_steps_are_wrong(problem: Problem, data: st.DataObject) -> None:
    gold = problem.gold_steps
    kept = data.draw(st.integers(0, len(gold) - 1))
    assert SMALL.check_steps(problem, gold[:kept]) == (True,) * kept + (False,) * (len(gold) - kept)
    assert SMALL.check_steps(problem, [*gold, gold[-1]]) == (True,) * len(gold) + (False,)
    # Step `kept` repeated in place of the next one.
    if kept + 1 < len(gold) and gold[kept] != gold[kept + 1]:
        assert SMALL.check_steps(problem, [*gold[: kept + 1], gold[kept], *gold[kept + 2 :]])[kept + 1] is False


@settings(max_examples=20)
@given(st.integers(1, len(NAMES) - 1), st.integers(0, 3))
def test_the_dial_bounds_the_number_of_steps(low: int, more: int) -> None:
    high = min(low + more, len(NAMES) - 1)
    problems = list(Chain(uses="chain", steps=(low, high), test=20).problems("test"))
    assert all(low <= len(p.gold_steps) <= high and p.difficulty == len(p.gold_steps) for p in problems)
    assert all(p.tags == {"steps": str(len(p.gold_steps))} for p in problems)


def test_every_word_of_problems_and_steps_is_in_the_vocabulary() -> None:
    known = set(SMALL.vocabulary())
    for problem in PROBLEMS:
        for word in " ".join([problem.question, *problem.gold_steps]).split():
            assert word in known or word.rstrip(".?:") in known or set(word) <= known, word


def test_answers_are_compared_as_integers() -> None:
    [problem] = itertools.islice((p for p in PROBLEMS if p.gold == "40"), 1)
    assert [SMALL.grade(problem, Answer(a)).verdict for a in ("40", "040", "4", "38 + 2", None)] == [
        Verdict.CORRECT,
        Verdict.CORRECT,
        Verdict.WRONG,
        Verdict.WRONG,
        Verdict.WRONG,
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"steps": [3, 2]}, r"steps: expected \[low, high\] with 1 <= low <= high <= 11, got \[3, 2\]"),
        ({"steps": [0, 2]}, r"got \[0, 2\]"),
        ({"steps": [1, 99]}, r"got \[1, 99\]"),
        ({"operand": [0, 9]}, r"operand: expected \[low, high\] with 1 <= low <= high <= 49, got \[0, 9\]"),
        ({"operand": [2, 50]}, r"got \[2, 50\]"),
        ({"test": -1}, "greater than or equal to 0"),
        ({"tset": 5}, "tset"),
    ],
)
def test_a_dial_out_of_range_is_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        Chain.model_validate({"uses": "chain", **setting})


def test_an_unknown_split_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"chain has no split 'tets'\. Did you mean 'test'\?"):
        next(SMALL.problems("tets"))
