"""A solution: typed segments of text and token ids. Ids are authoritative; if they exist, text is derived from them.

Rows are frozen. `to_row` and `from_row` convert to and from the flat dictionaries that Parquet holds. The Hub's
standard columns come first (`prompt`, `completion`), then ours, so that other tools can read the files unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from data_gen.records.calls import Charge, ModelCall, Turn
from data_gen.records.rows import Single, Tags, from_row, to_row
from data_gen.records.segment import Kind, Segment, said
from data_gen.records.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """One worked answer to a problem, sampled or gold.

    >>> steps = Segment(kind=Kind.STEP, text="12 + 5 = 17\\n"), Segment(kind=Kind.ANSWER, text="Answer: 17")
    >>> Solution(problem_id="chain/train/7", sample=0, question="Ana has 12. ...", prompt="Ana has 12. ...\\n",
    ...     segments=steps, answer="17", verdict=Verdict.CORRECT, finish="stop").text
    '12 + 5 = 17\\nAnswer: 17'
    """

    prompt: str
    """The question as the model saw it. For a row without ids, the bare question."""
    problem_id: str
    sample: int
    """Index among the samples of this problem; -1 for greedy rows, and -1, -2, ... for gold."""
    segments: tuple[Segment, ...]
    answer: str | None
    verdict: Verdict
    finish: str
    """`stop`: ended by itself. `length`: cut by the token limit. `gold`: taken from the source."""
    reason: str = ""
    """Reason of the verdict (see `Grade.reason`)."""
    score: float | None = None
    """Score in [0, 1] (see `Grade.score`). None if it cannot be verified."""
    question: str = ""
    """The problem's question without any template. A trainer renders it with its own policy's template and refuses a
    row whose prompt differs."""
    steps_ok: bool | None = None
    """Whether every step passes the task's exact step checker. None if the task has none."""
    step_labels: tuple[bool | None, ...] = ()
    """Whether each of `steps` is right, as its source says; None for a step that it does not judge, such as those
    after the first error. Empty: the solution has no labels."""
    prompt_ids: tuple[int, ...] = ()
    logprobs: tuple[Single, ...] = ()
    """Log-probability of each sampled token under the untempered, untruncated policy, aligned with `token_ids`."""
    teacher_ids: tuple[tuple[int, ...], ...] = ()
    """A teacher's likeliest tokens at each of `token_ids` (stage `soften`), the same number everywhere."""
    teacher_logprobs: tuple[tuple[Single, ...], ...] = ()
    """Their log-probabilities under the teacher."""
    group: str = ""
    difficulty: float | None = None
    temperature: float | None = None
    weight: Single = 1.0
    tags: Tags = field(default_factory=dict, hash=False)
    """The problem's tags."""
    asked: tuple[Turn, ...] = ()
    """The conversation that a prompt program put to the model, up to where the completion begins. Empty: the question
    alone, as every policy is asked it. A trainer renders it with its own policy's template."""
    run: int | None = None
    """Index of the program's run on this problem. This field and those below are None or empty in rows of `solve`."""
    chain: int | None = None
    """Index of the chain of attempts within the run."""
    turn: int | None = None
    """Index of the attempt within its chain."""
    chosen: bool | None = None
    """Whether it is the answer of the run."""
    value: float | None = None
    """A verifier's weight of it, if the program asked for one."""
    notes: tuple[str, ...] = ()
    """What went wrong on the way to it: `unread.NAME` for a reply in which the program did not find what it needs,
    `no_room` for a prompt that filled the context."""
    charges: tuple[Charge, ...] = ()
    """Cost of each role since the run's previous row, so that the rows of a run sum up to its cost."""
    conversation: tuple[ModelCall, ...] = ()
    """The requests behind `charges`, if the stage keeps them (`calls: keep`)."""

    @property
    def text(self) -> str:
        """The completion as text."""
        return "".join(s.text for s in self.segments)

    @property
    def said(self) -> str:
        """The text without thoughts and outputs of tools, stripped: what goes into later prompts."""
        return said(self.segments).strip()

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The completion's ids, including the stop token if it was drawn."""
        return tuple(t for s in self.segments for t in s.token_ids)

    @property
    def trained_tokens(self) -> float:
        """Weighted number of tokens that enter the loss. 0 until a tokenizer has encoded the text."""
        return self.weight * sum(s.weight * len(s.token_ids) for s in self.segments)

    @property
    def steps(self) -> tuple[str, ...]:
        """Texts of the step segments, stripped of surrounding white space."""
        return tuple(s.text.strip() for s in self.segments if s.kind is Kind.STEP)

    @property
    def first_wrong(self) -> int | None:
        """Index of the first wrong step, the number of steps if all are right, None where the labels leave it open."""
        return first_wrong(self.step_labels)

    def to_row(self) -> dict[str, Any]:
        """The Parquet row: the Hub's prompt/completion type, then our columns."""
        return {"prompt": self.prompt, "completion": self.text, **to_row(self)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a Parquet row; extra columns are ignored."""
        return cls(**from_row(cls, row))


def first_wrong(labels: Sequence[bool | None]) -> int | None:
    """Index of the first wrong step, the number of steps if all are right. None if there are no labels, or if a step
    before it is not labelled.

    >>> first_wrong([True, False, None]), first_wrong([True, True]), first_wrong([None, False]), first_wrong([])
    (1, 2, None, None)
    """
    at = next((i for i, label in enumerate(labels) if label is not True), len(labels))
    return None if not labels or (at < len(labels) and labels[at] is None) else at
