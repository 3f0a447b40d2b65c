"""What the labelling stages share: reading the trees problem by problem, random streams, and counting drops."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.labelling.steps import in_steps
from data_gen.records.trees import Tree
from reasoning_train.store.inputs import stream_trees

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from reasoning_train.api.refs import Ref
    from reasoning_train.api.stage import Context, Input


def open_codec(ctx: Context, policy: Ref) -> StepCodec:
    """The tokenizer and Format that split trees into steps."""
    from reasoning_train.models.policy_text import load_policy_text

    return load_policy_text(ctx.input(policy).path).codec


def problem_trees(source: Input, codec: StepCodec) -> Iterator[tuple[str, list[Tree]]]:
    """(problem id, its trees with one step per node), streamed: the trees of one problem are in memory at a time."""
    checked = False
    for problem_id, trees in itertools.groupby(stream_trees(source), key=lambda tree: tree.problem_id):
        grown = list(trees)
        if not checked:
            _check_tokenizer(grown[0], codec)
            checked = True
        yield problem_id, [in_steps(tree, codec) for tree in grown]


def _check_tokenizer(tree: Tree, codec: StepCodec) -> None:
    for node in tree.nodes[1:]:
        before = [token for step in tree.path(node)[:-1] for token in step.token_ids]
        text = codec.text_behind(before, node.token_ids)
        if text != node.text:
            raise UserError(
                f"policy: the token ids of a step of tree {tree.problem_id!r} decode to {text[:80]!r} with its "
                f"tokenizer, but the tree says {node.text[:80]!r}. Give the policy that grew the trees."
            )


def stream(seed: int, transform: str, *example: str | int) -> random.Random:
    """The random stream of one example, derived from (seed, transform, example) alone."""
    return random.Random(stream_seed(seed, transform, *example))


@contextmanager
def refusals(stage: str, trees: Ref) -> Iterator[None]:
    """Add the names of the stage and its input to the error of a rule that cannot read a tree."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{stage}: the trees of {trees} cannot be used. {error}") from error


def count_drops(ctx: Context, dropped: Mapping[str, int]) -> None:
    """Add to the counters `dropped.<reason>`."""
    for reason, n in dropped.items():
        if n:
            ctx.count(f"dropped.{reason}", n)
