"""Classes of answers: an equivalence relation, whatever the order of the answers and whatever the grader says."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.graders import GRADERS
from data_gen.grading.equality import MOST_COMPARED, classes
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.tasks.chain import Chain
from data_gen.tasks.merged import Merged

WRITTEN = {
    "answers": ["7", "7.0", "14/2", "5; 10", "5, 10", "10; 5"],
    "auto": [
        "1/2",
        "0.5",
        "\\frac{1}{2}",
        "50%",
        "B",
        "(b)",
        "Option B",
        "yes",
        "True.",
        "red",
        "Red",
        "1,000",
        "1000",
        "-7",
    ],
    "choice": ["B", "(b)", "Option B", "bank", "It is the bank.", "A", "bay", "A or B", "AB", "B and A", "none"],
    "exact": ["a", " a", "A", "a b"],
    "generator": ["1 2", "1  2", "12", "4", "4.0", "ab", "aB"],
    "integer": ["7", " 7", "\u22127", "-7", "007", "7.0", "seven"],
    "label": ["yes", "Yes, he can", "no", "No.", "perhaps", "nothing"],
    "list": ["[1, 2]", "1, 2", "[2, 1]", "1", "[]"],
    "lm_eval_flex": ["1,000", "1000", "$1000.", "1000.0", "-7"],
    "lm_eval_strict": ["1,000", "1000", "$1000.", "1000.0", "-7"],
    "math": ["x+x", "2x", "$2x$", "3x", "red"],
    "math_verify": ["It is 1/2.", "It is $\\frac12$.", "0.5", "so 7", "red"],
    "numeric": ["7", "7.0", "$7", "14/2", "8", "many"],
    "set": ["[1, 2]", "2, 1", "1, 2, 2", "3", "[]"],
    "text": ["New York", "new  york.", "York", "The answer is York"],
    "worded": ["3", "3.0", "3 is the only possible value", "100 (i.e., all values)", "100", "No solutions", "none"],
    "yes_no": ["yes", "Yes, he can", "True", "no", "false", "no solution", "yes or no"],
}


def problem(uses: str, gold: str | None = None) -> Problem:
    return Problem(
        id="p",
        question="q",
        gold=gold,
        group="p",
        split="test",
        choices=("bay", "bank") if uses == "choice" else (),
        payload=json.dumps({"generator": "chain_sum", "config": {}, "answer": gold, "metadata": {}}),
    )


def test_every_grader_has_answers_here() -> None:
    """All but those that run programs, which have no more than their texts to be compared by."""
    assert set(WRITTEN) == {name for name in GRADERS.names() if not GRADERS.get(name).runs_programs}


@pytest.mark.parametrize("uses", WRITTEN)
def test_canonical_forms_agree_with_the_grader(uses: str) -> None:
    """Answers of one form get one verdict whatever gold is; where forms decide, others are not right for each other."""
    grader = GRADERS.get(uses).model_validate({"uses": uses})
    forms = {answer: grader.canonical(problem(uses), answer) for answer in WRITTEN[uses]}
    one_form = [(a, b) for a, b in itertools.combinations(forms, 2) if forms[a] is not None and forms[a] == forms[b]]
    assert one_form or uses in ("list", "set", "math_verify")
    for a, b in one_form:
        assert grader.same(problem(uses), a, b)
        for gold in WRITTEN[uses] if uses != "generator" else ():
            verdicts = [grader.grade(problem(uses, gold), Answer(said)).verdict for said in (a, b)]
            assert verdicts[0] == verdicts[1], (gold, a, b)
    if grader.forms_decide:
        assert None not in forms.values()
        for a, b in itertools.permutations(forms, 2):
            right = grader.grade(problem(uses, a), Answer(b)).verdict is Verdict.CORRECT
            assert not right or forms[a] == forms[b], (a, b)


@pytest.mark.parametrize("uses", WRITTEN)
@settings(max_examples=5)
@given(data=st.data())
def test_the_classes_of_a_task_do_not_depend_on_order(uses: str, data: st.DataObject) -> None:
    grader = GRADERS.get(uses).model_validate({"uses": uses})
    task = Chain(uses="chain", grader=grader, format={"extract": grader.finds_with or ("mark",)})
    answers = data.draw(st.lists(st.sampled_from(WRITTEN[uses]), min_size=1, max_size=8))
    shuffled = data.draw(st.permutations(answers))
    assert _partition(task.classes(problem(uses), answers)) == _partition(task.classes(problem(uses), shuffled))


def test_what_is_written_in_two_ways_is_one_answer() -> None:
    """Strings would call 7 the majority of these."""
    said = ["\\frac{1}{2}", "0.5", "1/2", "7", "7"]
    assert Chain(uses="chain", grader="auto").classes(problem("auto"), said) == {said[0]: 0, "0.5": 0, "1/2": 0, "7": 1}


def test_a_task_with_an_equality_of_its_own_is_asked_in_pairs() -> None:
    class Lengths(Chain):
        def grade(self, problem: Problem, answer: Answer) -> Grade:
            return Grade(Verdict.CORRECT, "length")

        def same(self, problem: Problem, one: str, other: str) -> bool:
            return len(one) == len(other)

    task = Lengths(uses="chain")
    assert task.classes(problem("auto"), ["12", "34", "5"]) == {"12": 0, "34": 0, "5": 1}
    merged = Merged(members={"": task}, format=task.format)
    assert merged.classes(problem("auto"), ["12", "34", "5"]) == {"12": 0, "34": 0, "5": 1}


def near(tolerance: int) -> object:
    """Equal within a tolerance, which is no equivalence: 1 ~ 2 ~ 3, and 1 differs from 3."""
    return lambda a, b: abs(int(a) - int(b)) <= tolerance


numerals = st.tuples(st.integers(0, 40), st.integers(1, 3)).map(lambda n: f"{n[0]:0{n[1]}}")


@given(st.lists(numerals, max_size=12), st.integers(0, 4), st.randoms(), st.booleans())
def test_classes_are_connected_components_in_any_order(
    answers: list[str], tolerance: int, rng: random.Random, by_form: bool
) -> None:
    """Two answers share a class just where steps of at most the tolerance lead from one to the other, with forms (7 for
    7 and 07) and without."""
    form = int if by_form else (lambda answer: None)
    found = classes(answers, form, near(tolerance))  # type: ignore[arg-type]
    ordered = sorted(set(answers), key=int)
    breaks = [a for a, b in itertools.pairwise(ordered) if int(b) - int(a) > tolerance]
    expected = [sum(int(b) < int(a) for b in breaks) for a in ordered]
    assert [found[a] == found[b] for a in ordered for b in ordered] == [a == b for a in expected for b in expected]
    assert list(dict.fromkeys(found[a] for a in answers)) == list(range(len(set(found.values()))))
    shuffled = classes(rng.sample(answers, len(answers)), form, near(tolerance))  # type: ignore[arg-type]
    assert _partition(shuffled) == _partition(found)


def test_a_one_sided_equality_is_read_both_ways() -> None:
    assert classes(["a", "b"], same=lambda a, b: (a, b) == ("b", "a")) == {"a": 0, "b": 0}


def test_equal_forms_are_not_compared_and_the_number_of_pairs_is_bounded() -> None:
    asked: list[tuple[str, str]] = []

    def differ(one: str, other: str) -> bool:
        asked.append((one, other))
        return False

    assert set(classes(["1", "1.0", "1.00"], float, differ).values()) == {0} and not asked
    assert classes(["1", "2"], float) == {"1": 0, "2": 1} and not asked
    classes([str(i) for i in range(1000)], same=differ)
    assert len(asked) == MOST_COMPARED * (MOST_COMPARED - 1)  # both ways round


@given(st.randoms())
@settings(max_examples=10)
def test_the_bound_is_drawn_by_frequency_not_by_order(rng: random.Random) -> None:
    answers = [str(i) for i in range(300)] + [str(i) for i in range(150, 300)]
    found = classes(rng.sample(answers, len(answers)), same=lambda a, b: True)
    assert _partition(found) == _partition(classes(answers, same=lambda a, b: True))
    assert len(set(found.values())) == 300 - MOST_COMPARED + 1
    alone = {answer for answer in answers if list(found.values()).count(found[answer]) == 1}
    assert alone >= {str(i) for i in range(150)}, "those that come twice are compared first"


def _partition(found: dict[str, int]) -> set[frozenset[str]]:
    return {frozenset(a for a, number in found.items() if number == one) for one in found.values()}
