"""Puts the steps of one path below another node, which ancestor sampling compares."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from data_gen.engines.base import Sample
from data_gen.search.expand import Expand
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


async def replay(tree: SearchTree, nodes: Sequence[Node], steps: Sequence[Node]) -> list[Node | None]:
    """For each of `nodes`, the end of the path that continues it with `steps`. None if that does not fit the limits.

    Steps that exist there already are reused. Others enter as `replayed`, drawn 0 times, with log-probabilities from
    the engine. The engine reads the path for these, which is charged as scored tokens.
    """
    stems = [_known(node, steps) for node in nodes]
    scored = await asyncio.gather(*(_logprobs(tree, stem, missing) for stem, missing in stems))
    return [_append(tree, stem, missing, logprobs) for (stem, missing), logprobs in zip(stems, scored, strict=True)]


def _known(node: Node, steps: Sequence[Node]) -> tuple[Node, Sequence[Node]]:
    """The deepest node that spells the first of `steps`, and the steps that are missing below it."""
    for i, step in enumerate(steps):
        twin = next((child for child in node.steps() if child.token_ids == step.token_ids), None)
        if twin is None:
            return node, steps[i:]
        node = twin
    return node, ()


async def _logprobs(tree: SearchTree, stem: Node, missing: Sequence[Node]) -> list[float] | None:
    """Log-probabilities of `missing`, one per token. None if it does not fit."""
    ids = [token for step in missing for token in step.token_ids]
    if not ids:
        return []
    if stem.terminal or stem.length + len(ids) > tree.limits.max_length:
        return None
    prefix = (*tree.prompt_ids, *stem.ids)
    [logprobs] = await tree.lm.score(prefix, [ids])
    tree.scored_tokens += len(prefix) + len(ids)
    return logprobs


def _append(tree: SearchTree, node: Node, missing: Sequence[Node], logprobs: list[float] | None) -> Node | None:
    if logprobs is None:
        return None
    for step in missing:
        own, logprobs = logprobs[: len(step.token_ids)], logprobs[len(step.token_ids) :]
        node = tree.attach(
            node, Sample(token_ids=step.token_ids, logprobs=tuple(own), finish="stop"), Expand(), "replayed"
        )
    return node
