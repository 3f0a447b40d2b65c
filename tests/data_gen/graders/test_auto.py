"""The answer checker against a table of hand-made cases, and what it must hold for all numbers."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.graders.auto import Auto
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict

GOLDEN = [
    json.loads(line)
    for line in (Path(__file__).parent / "golden_grades.jsonl").read_text(encoding="utf-8").splitlines()
]
MODEL_SOLUTIONS = Path(__file__).parents[4] / "shared/data/gsm8k_model_solutions.jsonl"
SOLUTION_KINDS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
EMBEDDED = [
    {
        "ground_truth": "She makes 9 * 2 = $18.\nA: 18",
        "6b_finetuning": {"is_correct": False, "solution": "13 * 2 = 26\nA: 26"},
    },
    {
        "ground_truth": "So the cost is 70,000.\nA: 70,000",
        "175b_verification": {"is_correct": True, "solution": "In all 70000.\nA: 70000"},
    },
    {"ground_truth": "A: 3", "6b_finetuning": {"is_correct": True, "solution": "2 + 1 = 3\nA: 3"}},
    {"ground_truth": "A: 3", "6b_verification": {"is_correct": False, "solution": "It goes on and on"}},
]


def grade(gold: str, answer: str | None) -> Grade:
    return Auto().grade(Problem(id="p", question="q", gold=gold, group="p", split="test"), Answer(answer))


@pytest.mark.parametrize("verdict", Verdict)
def test_golden_table(verdict: Verdict) -> None:
    cases = [case for case in GOLDEN if case["verdict"] == verdict]
    found = [(case["gold"], case["answer"], grade(case["gold"], case["answer"]).verdict) for case in cases]
    assert [row for row in found if row[2] is not verdict] == []


def test_the_golden_table_holds_every_verdict() -> None:
    counts = {v: sum(c["verdict"] == v for c in GOLDEN) for v in Verdict}
    assert (
        len(GOLDEN) == sum(counts.values()) >= 200
        and counts[Verdict.CORRECT] >= 100
        and counts[Verdict.WRONG] >= 100
        and counts[Verdict.UNVERIFIABLE] >= 8
    )


@pytest.mark.parametrize(
    ("gold", "answer", "reason"),
    [
        ("18", "18.0", "integer"),
        ("0.5", "50%", "decimal"),
        ("1/2", "0.5", "fraction"),
        ("50%", "0.5", "percent"),
        ("2 dozen", "24", "scaled"),
        ("B", "(b)", "choice"),
        ("yes", "no", "yes_no"),
        ("red", "Red", "text"),
        ("red", "der", "text"),
        ("3", "2 or 3", "ambiguous"),
        ("\\sqrt{2}", "sqrt(2)", "formula"),
        ("7", None, "no_answer"),
        ("???", "5", "bad_gold"),
        (" ", "5", "bad_gold"),
    ],
)
def test_the_reason_says_which_path_decided(gold: str, answer: str | None, reason: str) -> None:
    assert grade(gold, answer).reason == reason


def test_every_published_verdict_on_gsm8k_model_solutions() -> None:
    rows = (
        [json.loads(x) for x in MODEL_SOLUTIONS.read_text(encoding="utf-8").splitlines()]
        if MODEL_SOLUTIONS.exists()
        else EMBEDDED
    )
    for row in rows:
        gold = row["ground_truth"].rpartition("A: ")[2]
        for said in (row[kind] for kind in SOLUTION_KINDS if kind in row):
            _, mark, answer = said["solution"].rpartition("A: ")
            verdict = grade(gold, answer if mark else None).verdict
            assert (verdict is Verdict.CORRECT) == said["is_correct"], (gold, answer)


@given(st.integers(-(10**12), 10**12))
def test_an_integer_is_itself_however_written(n: int) -> None:
    for written in (f"{n:,}", f"{n}.0", f"${n}", f"\\boxed{{{n}}}", f"{n} apples", f"x = {n}", f"The answer is {n:,}."):
        assert grade(str(n), written) == Grade(Verdict.CORRECT, "integer"), written


@given(st.integers(-9999, 9999), st.integers(-9999, 9999))
def test_two_integers_are_equal_iff_they_are(a: int, b: int) -> None:
    assert (grade(str(a), str(b)).verdict is Verdict.CORRECT) == (a == b)


@given(st.fractions(max_denominator=999).filter(lambda f: abs(f) < 10**6), st.integers(2, 9))
def test_an_expanded_fraction_is_equal_and_its_neighbour_is_not(f: Fraction, k: int) -> None:
    gold = f"{f.numerator}/{f.denominator}"
    sign = "-" if f < 0 else ""
    assert grade(gold, f"{sign}\\frac{{{abs(f.numerator) * k}}}{{{f.denominator * k}}}").verdict is Verdict.CORRECT
    assert grade(gold, f"{f.numerator * k + 1}/{f.denominator * k}").verdict is Verdict.WRONG


@given(st.decimals(-1000, 1000, places=3))
def test_finite_decimals_compare_exactly(d: object) -> None:
    assert grade(str(d), f"{d}0").verdict is Verdict.CORRECT
    assert grade(str(d), f"{d}1").verdict is Verdict.WRONG
