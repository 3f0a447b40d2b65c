"""Theories in plain English: what follows from them, and how deep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_gen.errors import UserError
from data_gen.grading.theories import depth_of
from data_gen.tasks import TASKS

THEORY = (
    "The bald eagle eats the cat. The cat is red. Bob is not big. Red things are cold. All cold, red things are kind. "
    "If something is kind and not big then it sees the cat. If someone is kind and they are red then they need Bob. "
    "If the cat needs Bob and Bob is not big then Bob is green. "
    "If something eats the cat then it does not like the cat. Green people are not nice."
)


@pytest.mark.parametrize(
    ("statement", "depth"),
    [
        ("The bald eagle eats the cat.", 0),
        ("The bald eagle does not eat the cat.", 0),
        ("Bob is big.", 0),
        ("The cat is cold.", 1),
        ("The cat is kind.", 2),
        ("The cat is not kind.", 2),
        ("The cat sees the cat.", None),  # that it is not big does not follow: the world is open
        ("The cat needs Bob.", 3),
        ("Bob is green.", 4),
        ("Bob is nice.", 5),
        ("The bald eagle likes the cat.", 1),
        ("The bald eagle is red.", None),
        ("Charlie is red.", None),
    ],
)
def test_depths_by_hand(statement: str, depth: int | None) -> None:
    assert depth_of(THEORY, statement) == depth


def test_the_shortest_proof_counts_and_circles_end() -> None:
    theory = "Bob is red. Red things are big. Big things are red. Big things are cold. Red things are cold."
    assert (depth_of(theory, "Bob is cold."), depth_of(theory, "Bob is red.")) == (1, 0)


@pytest.mark.parametrize(
    "theory", ["It may rain.", "If it rains then.", "Bob is very big indeed.", "Bob" + " b" * 200 + " is red."]
)
def test_other_sentences_are_refused(theory: str) -> None:
    with pytest.raises(ValueError, match="not a statement"):
        depth_of(theory, "Bob is red.")


def test_a_row_without_a_theory_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"question": "Bob is red.", "answer": "yes"}) + "\n", encoding="utf-8")
    task = TASKS.get("proofwriter").model_validate({"uses": "proofwriter", "path": file, "split": {"test": None}})
    with pytest.raises(UserError, match=r"rows\.jsonl:1: column 'context' \(task\.theory\): the row lacks it\."):
        list(task.problems("test"))
