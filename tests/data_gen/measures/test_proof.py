"""`proof`: what follows from rules about kinds, and which proofs are whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.grading.proofs import Claim, follows, follows_at_once, read_claims
from data_gen.measures.proof import Proof
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks.chain import Chain
from tests.benchmark_data import built, file

TOLD = "Cats are furry. Each cat is a mammal. Mammals are dumpuses. Dumpuses are not cold. Max is a cat."
GOLD = ("Max is a cat.", "Each cat is a mammal.", "Max is a mammal.", "Mammals are dumpuses.", "Max is a dumpus.")
PROBLEM = Problem(
    id="p",
    question=f"{TOLD}\nIs the following statement true or false? Max is cold.\n(A) True\n(B) False",
    gold="B",
    gold_steps=(*GOLD, "Dumpuses are not cold.", "Max is not cold."),
    group="p",
    split="test",
)


def columns(*steps: str, problem: Problem = PROBLEM) -> dict[str, float]:
    segments = tuple(Segment(kind=Kind.STEP, text=f"{step}\n", token_ids=(1,)) for step in steps)
    said = Solution(
        problem_id="p", sample=0, prompt="", segments=segments, answer=None, verdict=Verdict.WRONG, finish="stop"
    )
    return Proof().of(Chain(uses="chain"), problem, said)


@pytest.mark.parametrize(
    ("steps", "strict", "broad", "valid"),
    [
        (PROBLEM.gold_steps, 1, 1, 1),
        (("Max is a mammal.", "Max is a dumpus.", "Max is not cold."), 1, 1, 1),
        (
            ("Max is a cat, and each cat is a mammal, so Max is a mammal.", "Then Max is a dumpus; Max is not cold"),
            1,
            1,
            1,
        ),
        (("Max is a dumpus.", "Max is not cold."), 0, 1, 0),
        (("Max is not cold.",), 0, 1, 0),
        (("Max is a mammal.", "Max is cold."), 0, 0, 1 / 2),
        (("Max is a mammal.", "Max is furry.", "Max is a dumpus."), 0, 0, 1),
        (("Dumpuses are cats.", "Max is a mammal.", "Max is a dumpus.", "Max is not cold."), 1, 1, 3 / 4),
        (("Cold things are sour.", "Max is sour.", "Max is not cold."), 0, 1, 0),
        (("Let me think step by step.", "Hm!"), 0, 0, 0),
        ((), 0, 0, 0),
    ],
)
def test_proofs_by_hand(steps: tuple[str, ...], strict: float, broad: float, valid: float) -> None:
    found = columns(*steps)
    assert (found["proof_strict"], found["proof_broad"], found["proof_valid"]) == (strict, broad, valid)


def test_valid_sentences_that_the_proof_does_without_are_stray() -> None:
    assert columns("Max is furry.", "Max is a mammal.", "Max is blue.")["proof_stray"] == 1 / 2
    assert "proof_stray" not in columns("Max is blue.")


def test_the_statement_in_question_is_not_given() -> None:
    assert columns("Max is cold.")["proof_valid"] == 0


def test_no_columns_without_a_gold_proof() -> None:
    bare = Problem(id="p", question=PROBLEM.question, gold="B", group="p", split="test")
    assert columns("Max is a mammal.", problem=bare) == {}


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Each yumpus is a dumpus.", [("yumpus", "dumpus", True, True)]),
        ("Jompuses are not yumpuses.", [("jompus", "yumpus", False, True)]),
        ("Every prime number is a natural number.", [("prime number", "natural number", True, True)]),
        ("A carnivore is not a herbivore", [("carnivore", "herbivore", False, True)]),
        ("Fae is not luminous.", [("fae", "luminous", False, False)]),
        ("Butterflies are insects.", [("butterfly", "insect", True, True)]),
        ("What is it?", []),
        ("x" * 300 + " is a cat", []),
    ],
)
def test_sentences(text: str, claims: list[tuple[str, str, bool, bool]]) -> None:
    assert list(read_claims(text)) == [Claim(*claim) for claim in claims]


CLAIMS = st.builds(Claim, st.sampled_from("abcd"), st.sampled_from("abcd"), st.booleans(), st.booleans())


@given(st.sets(CLAIMS, max_size=12), CLAIMS)
def test_what_follows_at_once_follows(known: set[Claim], claim: Claim) -> None:
    assert follows(claim, known) or not follows_at_once(claim, known)
    assert follows_at_once(claim, known) or claim not in known


@given(st.lists(st.sampled_from([*PROBLEM.gold_steps, "Max is furry.", "Max is cold.", "Cats are cold."]), max_size=8))
def test_a_strict_proof_is_a_broad_one(steps: list[str]) -> None:
    found = columns(*steps)
    assert 0 <= found["proof_strict"] <= found["proof_broad"] <= 1 and 0 <= found["proof_valid"] <= 1


def test_the_gold_proofs_of_prontoqa_are_whole() -> None:
    for problem in built("prontoqa", path=file("prontoqa_dev.jsonl")).problems("test"):
        whole = {"proof_strict": 1, "proof_broad": 1, "proof_valid": 1, "proof_stray": 0}
        assert columns(*problem.gold_steps, problem=problem) == whole
        assert columns(problem.gold_steps[-1], problem=problem)["proof_strict"] == 0
