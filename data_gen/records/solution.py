"""A solution: typed segments of text and token ids. Ids are the truth; text is derived from them wherever ids exist.

Rows are frozen; `to_row` / `from_row` give the flat dictionaries that Parquet holds. The Hub's standard
columns come first (`prompt`, `completion`), ours after, so that other tools read the files as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from data_gen.records.rows import Single, Tags, from_row, to_row
from data_gen.records.segment import Kind, Segment
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
    """The question as the model saw it; of a row without ids, the bare question."""
    problem_id: str
    sample: int
    """Index among the samples of this problem; -1 for gold and greedy rows."""
    segments: tuple[Segment, ...]
    answer: str | None
    verdict: Verdict
    finish: str
    """`stop`: ended by itself; `length`: cut by the token limit; `gold`: taken from the source."""
    reason: str = ""
    """How the verdict came about (see `Grade.reason`)."""
    score: float | None = None
    """How good it is, in [0, 1] (see `Grade.score`); None where nothing can verify it."""
    question: str = ""
    """What the problem asks, without any template. A trainer renders it as its own policy is asked, and refuses a
    prompt that differs."""
    steps_ok: bool | None = None
    """Every step passes the task's exact step checker; None where the task has none."""
    prompt_ids: tuple[int, ...] = ()
    logprobs: tuple[Single, ...] = ()
    """log p of each sampled token under the untempered, untruncated policy; aligned with `token_ids`."""
    teacher_ids: tuple[tuple[int, ...], ...] = ()
    """A teacher's likeliest tokens at each of `token_ids` (stage `soften`), as many everywhere."""
    teacher_logprobs: tuple[tuple[Single, ...], ...] = ()
    """Their log-probabilities under the teacher."""
    group: str = ""
    difficulty: float | None = None
    temperature: float | None = None
    weight: Single = 1.0
    tags: Tags = field(default_factory=dict, hash=False)
    """Those of the problem."""

    @property
    def text(self) -> str:
        """The completion as text."""
        return "".join(s.text for s in self.segments)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The completion's ids, stop token included where it was produced."""
        return tuple(t for s in self.segments for t in s.token_ids)

    @property
    def trained_tokens(self) -> float:
        """Tokens that a loss falls on, by weight; 0 while no tokenizer has seen the text."""
        return self.weight * sum(s.weight * len(s.token_ids) for s in self.segments)

    @property
    def steps(self) -> tuple[str, ...]:
        """Texts of the step segments, stripped of surrounding white space."""
        return tuple(s.text.strip() for s in self.segments if s.kind is Kind.STEP)

    def to_row(self) -> dict[str, Any]:
        """The Parquet row: the Hub's prompt/completion type, then our columns."""
        return {"prompt": self.prompt, "completion": self.text, **to_row(self)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a Parquet row; extra columns are ignored."""
        return cls(**from_row(cls, row))
