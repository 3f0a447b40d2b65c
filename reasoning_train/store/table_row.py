"""A row of an evaluation: one strategy's result on one problem. Every evaluating stage writes them; summaries, claims,
rounds and reports read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from data_gen.records.calls import ModelCall
from data_gen.records.problem import Problem
from data_gen.records.rows import Measures, Tags, from_row, to_row
from data_gen.records.solution import Solution
from data_gen.search.votes import ClassOf


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One strategy's answer to one problem.

    >>> row = TableRow(policy="tuned", strategy="greedy", problem_id="chain/test/7", gold="17", verdict="correct",
    ...     accuracy=1.0, answer="17", tokens=24, measures={"steps": 3.0})
    >>> TableRow.from_row(row.to_row()) == row
    True
    """

    policy: str
    """Name in the table."""
    strategy: str
    """How the answer was found: `greedy`, `best_of_n 8, majority`, ..."""
    problem_id: str
    difficulty: float | None = None
    tags: Tags = field(default_factory=dict, hash=False)
    gold: str | None = None
    verdict: str
    """Verdict on the shown answer, or `abstained`. `unverifiable` removes the problem for all strategies."""
    accuracy: float | None
    """P(the answer is right) over the strategy's random choices; None if it cannot be verified."""
    coverage: float | None = None
    """P(the strategy answers) over the same choices; None for one that never abstains. An abstention is no right answer
    in `accuracy`."""
    confidence: float | None = None
    """How sure the strategy is of the shown answer, if its rule says so."""
    cut: float = 0.0
    """Share of the strategy's completions that a limit cut."""
    steps_ok: bool | None = None
    """Whether every step of the shown solution passes the task's checker; None if the task has none."""
    answer: str | None = None
    """The shown answer; None counts as wrong, unless the strategy abstained."""
    tokens: float = 0.0
    """Total cost of the strategy. The next three fields are its parts, if they are known."""
    generated_tokens: float | None = None
    scored_tokens: float | None = None
    read_tokens: float | None = None
    """Tokens of the prompts that a program put to models, each prompt once for all of its samples. Only programs other
    than `solve` are charged for prompts: theirs grow with what was said before."""
    calls: float | None = None
    """Completions asked of the policy."""
    oracle: bool = False
    """Whether gold was used to find the answer."""
    measures: Measures = field(default_factory=dict, hash=False)
    """Further numbers of the shown solution, by name."""
    question: str = ""
    solution: str = ""
    conversation: tuple[ModelCall, ...] = ()
    """The requests of the program that found the answer, if the stage keeps them (`calls: keep`)."""
    sampled_answers: tuple[str | None, ...] = ()
    """Answers of the samples for pass@k and maj@k, or of the pool of a vote. The next fields describe the same
    samples."""
    sampled_solutions: tuple[str, ...] = ()
    """Texts of the samples that `evaluate` drew. Other stages read samples that are stored already."""
    sampled_classes: tuple[int, ...] = ()
    """Class of each answer under the task's equality; -1 without an answer."""
    sampled_correct: tuple[bool, ...] = ()
    sampled_steps_ok: tuple[bool | None, ...] = ()
    sampled_tokens: tuple[int, ...] = ()
    sampled_cut: tuple[bool, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """The Parquet row."""
        return to_row(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a Parquet row. Extra columns are ignored; fields with a default may be missing."""
        return cls(**from_row(cls, row))


def of_problem(problem: Problem) -> dict[str, Any]:
    """The fields of a row that come from its problem."""
    return {
        "problem_id": problem.id,
        "difficulty": problem.difficulty,
        "tags": problem.tags,
        "gold": problem.gold,
        "question": problem.question,
    }


def of_samples(samples: Sequence[Solution], class_of: ClassOf) -> dict[str, Any]:
    """The fields of a row that come from sampled solutions. `class_of`: the task's classes of answers."""
    answers = tuple(sample.answer for sample in samples)
    return {
        "sampled_answers": answers,
        "sampled_classes": numbered(answers, class_of),
        "sampled_correct": tuple(sample.verdict == "correct" for sample in samples),
        "sampled_steps_ok": tuple(sample.steps_ok for sample in samples),
        "sampled_tokens": tuple(len(sample.token_ids) for sample in samples),
        "sampled_cut": tuple(sample.finish == "length" for sample in samples),
    }


def numbered(answers: Sequence[str | None], class_of: ClassOf) -> tuple[int, ...]:
    """The number of each answer's class, in order of their first answers; -1 without an answer.

    >>> numbered(["7", None, "7.0", "8"], float)
    (0, -1, 0, 1)
    """
    found = [None if answer is None else class_of(answer) for answer in answers]
    numbers = {known: i for i, known in enumerate(dict.fromkeys(one for one in found if one is not None))}
    return tuple(-1 if one is None else numbers[one] for one in found)
