"""The likeliest next tokens of a prefix as its children, without sampling."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from data_gen.engines.base import Sample
from data_gen.errors import UserError
from data_gen.search.expand import Expand
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree

LARGEST = 1 << 13
"""Largest supported vocabulary: the engine scores each of its tokens for every prefix."""
ONE = Expand(segment="tokens", max_tokens=1)


async def top_tokens(tree: SearchTree, nodes: Sequence[Node], m: int) -> list[list[Node]]:
    """For every entry of `nodes` its `m` likeliest next tokens, best first, as nodes with 0 draws. An ended node gets
    none.

    The engine reads the prefix and every token once per node, charged as scored tokens. UserError for a large
    vocabulary.
    """
    size = len(tree.codec.tokenizer)
    if size > LARGEST:
        raise UserError(
            f"candidates is 'top', which scores every token of the vocabulary, and this tokenizer has {size}; expected "
            f"at most {LARGEST}. Use `candidates: sampled` with `expand: {{segment: tokens, max_tokens: 1}}`."
        )
    fresh = [node for node in dict.fromkeys(nodes) if not node.terminal]
    scored = await asyncio.gather(*(_next(tree, node, size) for node in fresh))
    children = {node: _best(tree, node, logprobs, m) for node, logprobs in zip(fresh, scored, strict=True)}
    return [children.get(node, []) for node in nodes]


async def _next(tree: SearchTree, node: Node, size: int) -> list[float]:
    prefix = (*tree.prompt_ids, *node.ids)
    tree.scored_tokens += len(prefix) + size
    return [logprob for [logprob] in await tree.lm.score(prefix, [(token,) for token in range(size)])]


def _best(tree: SearchTree, node: Node, logprobs: Sequence[float], m: int) -> list[Node]:
    order = sorted(range(len(logprobs)), key=lambda token: (-logprobs[token], token))[:m]
    possible = [token for token in order if logprobs[token] > float("-inf")]
    return [
        tree.attach(node, Sample(token_ids=(t,), logprobs=(logprobs[t],), finish="stop"), ONE, "policy")
        for t in possible
    ]
