"""Segments and pairs by hand: `typed(("step", "3 + 4 = 7\\n"), ("answer", "Answer: 7"))`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_gen.records.labels import StepPair
from data_gen.records.segment import Kind, Segment


def typed(*pieces: tuple[str, str]) -> list[Segment]:
    """One segment a (kind, text) pair, without token ids."""
    return [Segment(kind=Kind(kind), text=text) for kind, text in pieces]


def step_pair(prompt: str, prompt_ids: Sequence[int], sides: Sequence[Segment], **more: Any) -> StepPair:
    """A pair of two encoded steps, the better one first, at the root of a tree. The prompt is the question's unless
    `prompt_length` says otherwise."""
    better, worse = sides
    fixed = {
        "problem_id": "p0",
        "tree": 0,
        "prompt": prompt,
        "chosen": better.text,
        "rejected": worse.text,
        "prompt_ids": tuple(prompt_ids),
        "prompt_length": len(prompt_ids),
        "chosen_ids": better.token_ids,
        "rejected_ids": worse.token_ids,
        "chosen_nodes": (1,),
        "rejected_nodes": (2,),
        "score_chosen": 1.0,
        "score_rejected": 0.0,
        "scale": "p",
        "rule": "first_error",
    }
    return StepPair(**{**fixed, **more})
