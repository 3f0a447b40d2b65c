"""The expander and segmenter slots: how a node gets children, and where a step ends."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.engines.base import Sampling
from data_gen.registry import Part
from data_gen.search.node import Node
from data_gen.similarity import jaccard, shingles


class Expand(Part):
    """n draws of one step, with equal ones merged: `Expand(n=4, temperature=0.8)`."""

    n: int = Field(4, ge=1)
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(64, ge=1)
    """Most tokens of one step."""
    segment: Literal["step", "tokens", "solution"] = "step"
    """What ends a node: the Format's step delimiter, `max_tokens` tokens, or the end of the solution."""
    dedupe: Literal["none", "exact", "near"] = "exact"
    """`exact`: same ids. `near`: word-3-gram Jaccard similarity of at least `near`. The first drawn represents all."""
    near: float = Field(0.8, gt=0, le=1)

    def sampling(self, delimiter: str, room: int) -> Sampling:
        """Sampling settings of one step of at most `room` tokens."""
        most = room if self.segment == "solution" else min(self.max_tokens, room)
        stop = (delimiter,) if self.segment == "step" else ()
        return Sampling(max_tokens=most, temperature=self.temperature, top_p=self.top_p, stop=stop)


def same_step(how: Expand, a: Node, b: Node) -> bool:
    """Whether two siblings count as one step. Steps that end differently never do, however similar they are."""
    if how.dedupe == "none" or (a.terminal, a.answer) != (b.terminal, b.answer):
        return False
    return a.token_ids == b.token_ids or (
        how.dedupe == "near" and jaccard(shingles(a.text), shingles(b.text)) >= how.near
    )
