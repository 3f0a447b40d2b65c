"""Converts paths of trees to the solution rows that `sft` trains on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_gen.format import StepCodec
from data_gen.labelling.paths import Path
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict

Weights = Literal["one", "problem", "draws"]
"""Loss weight of a right row: 1; an equal share of its problem, whose rows sum to 1; or the number of times that the
policy drew it."""

VERDICTS = {1.0: Verdict.CORRECT, 0.0: Verdict.WRONG, None: Verdict.UNVERIFIABLE}


def path_solutions(paths: Sequence[Path], codec: StepCodec, weights: Weights = "one") -> list[Solution]:
    """One row per path of one problem's trees. A wrong row has weight 0: values are learned from it, but it is not
    imitated."""
    right = sum(path.right for path in paths)
    sizes = {"one": 1.0, "problem": 1.0 / max(1, right)}
    return [
        _solution(path, i, codec, (path.leaf.draws if weights == "draws" else sizes[weights]) if path.right else 0.0)
        for i, path in enumerate(paths)
    ]


def _solution(path: Path, index: int, codec: StepCodec, weight: float) -> Solution:
    tree, leaf = path.tree, path.leaf
    cut = leaf.terminal == "limit"
    return Solution(
        problem_id=tree.problem_id,
        sample=index,
        prompt=tree.root.text,
        segments=segments(path.token_ids, codec, whole=not cut),
        answer=leaf.answer,
        verdict=VERDICTS[leaf.outcome],
        finish="length" if cut else "stop",
        reason="tree",
        steps_ok=leaf.steps_ok,
        prompt_ids=tree.root.token_ids,
        group=tree.group,
        difficulty=tree.difficulty,
        question=tree.question,
        tags=tree.tags,
        weight=weight,
    )


def segments(token_ids: tuple[int, ...], codec: StepCodec, *, whole: bool) -> tuple[Segment, ...]:
    """Typed segments of a path. A whole path that ended with an answer line instead of the stop token gets the stop
    token appended."""
    found = codec.split(token_ids)
    if whole and not any(segment.kind is Kind.END for segment in found):
        found = (*found, Segment(kind=Kind.END, text="", token_ids=(codec.end_id,)))
    return found
