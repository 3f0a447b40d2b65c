"""`step_pairs`: preferences between two continuations of the same prefix, from trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from data_gen.labelling.pairs import PAIR_RULES
from data_gen.records.labels import StepPair
from reasoning_train.api.refs import ModelRef, PairsRef, TreesRef
from reasoning_train.api.stage import Context, Gate, Made, Sizes, StageConfig, gate, stage
from reasoning_train.stages.fits import lacking
from reasoning_train.store.rows import write_rows
from reasoning_train.trainers.data.as_many import cut, fewer_rows, one_at_most

if TYPE_CHECKING:
    from data_gen.labelling.pairs import PairRule

    AnyRule = PairRule
else:
    AnyRule = PAIR_RULES.union()


class StepPairsConfig(StageConfig):
    """Which siblings are paired."""

    trees: TreesRef
    policy: ModelRef
    """The policy that grew the trees. Its tokenizer and Format split them into steps."""
    pairs: AnyRule
    max_per_tree: int | None = Field(8, ge=1)
    """Maximum pairs per tree, chosen at random if there are more (MCTS-DPO: 8)."""
    as_many_as: PairsRef | None = None
    """Draw exactly as many pairs as another selection has."""
    as_many_tokens_as: PairsRef | None = None
    """Draw pairs until they have as many trained tokens (of both sides) as another selection, to within half a pair."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> StepPairsConfig:
        one_at_most(self)
        return self


@stage("step_pairs", version=1, outputs={"data": "pairs"}, learns="labels")
def step_pairs(config: StepPairsConfig, ctx: Context) -> None:
    """Stream tree by tree; only counts stay in memory."""
    from reasoning_train.trainers.data.label_counts import Histogram

    margins, depths = Histogram(f"margins on scale {config.pairs.scale}", config.pairs.scale), Counter[int]()
    pairs = cut(_pairs(config, ctx), StepPair, "pairs", config, ctx, name="step_pairs", advice=ADVICE)
    tokens = 0.0

    def counted() -> Iterator[StepPair]:
        """The pairs unchanged, each counted."""
        nonlocal tokens
        for pair in pairs:
            margins.add([pair.margin])
            depths[len(pair.prefix_nodes)] += 1
            tokens += pair.trained_tokens
            yield pair

    found = write_rows(ctx.output("data"), kind="pairs", rows=(pair.to_row() for pair in counted()))
    ctx.count("out", found)
    ctx.metric("trained_tokens", tokens)
    ctx.metric("labels", margins.metric())
    ctx.metric("mean_margin", margins.mean)
    ctx.metric("pairs_by_depth", {str(depth): depths[depth] for depth in sorted(depths)})
    gate(
        found >= config.min_rows,
        f"step_pairs: {found} pairs, fewer than min_rows={config.min_rows}. Share of the siblings in the trees "
        f"of {config.trees} that lead to right and wrong answers: {_informative(ctx, config)}. Search longer, "
        "use problems that are solved sometimes, or lower `min_rows`.",
    )


@step_pairs.check
def fits(config: StepPairsConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The trees hold what the rule reads."""
    for said in lacking(made, config.trees, config.pairs.reads, f"rule {config.pairs.uses!r}"):
        yield "pairs", said


@step_pairs.estimate
def size(config: StepPairsConfig, sizes: Sizes) -> dict[str, Any]:
    """At most `max_per_tree` per tree, or as many as `as_many_as` has."""
    trees = sizes(config.trees).get("records")
    most = trees * config.max_per_tree if trees is not None and config.max_per_tree else None
    return fewer_rows(config, most, sizes)


ADVICE = "Raise `max_per_tree` here, or lower it in the other selection."


def _pairs(config: StepPairsConfig, ctx: Context) -> Iterator[StepPair]:
    from data_gen.labelling.pairs.base import draw_pairs
    from reasoning_train.stages.labelling import count_drops, open_codec, problem_trees, refusals, stream

    codec = open_codec(ctx, config.policy)
    for problem_id, trees in problem_trees(ctx.input(config.trees), codec):
        for tree in trees:
            ctx.count("in")
            rng = stream(ctx.seed, "step_pairs", problem_id, tree.sample)
            with refusals("step_pairs", config.trees):
                pairs, dropped = draw_pairs(config.pairs, tree, rng, config.max_per_tree)
            count_drops(ctx, {**dropped, "tree_without_pairs": not pairs})
            yield from pairs


def _informative(ctx: Context, config: StepPairsConfig) -> str:
    share = ctx.input(config.trees).manifest.get("metrics", {}).get("trees", {}).get("informative_siblings")
    return "unknown" if share is None else f"{share:.1%}"
