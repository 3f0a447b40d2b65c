"""`sft_paths`: whole solutions from trees, as the rows that `sft` trains on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from data_gen.labelling.paths import PathPolicy
from data_gen.labelling.reach import ends
from data_gen.labelling.solutions import Weights, path_solutions
from reasoning_train.api.refs import ModelRef, TreesRef
from reasoning_train.api.stage import Context, Gate, Made, Sizes, StageConfig, gate, stage
from reasoning_train.stages.fits import lacking
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from data_gen.records.solution import Solution


class SftPathsConfig(StageConfig):
    """Which paths become rows, and their loss weights."""

    trees: TreesRef
    policy: ModelRef
    """The policy that grew the trees. Its tokenizer and Format split the paths into steps."""
    paths: PathPolicy = PathPolicy()
    weights: Weights = "one"
    """Loss weight of a right row: 1; or 1 divided among the rows of a problem; or the number of its draws. A wrong row
    has weight 0."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)
    """Minimum number of right rows."""


@stage("sft_paths", version=1, outputs={"data": "solutions"}, learns="labels")
def sft_paths(config: SftPathsConfig, ctx: Context) -> None:
    """Stream problem by problem; only counts stay in memory."""
    from reasoning_train.trainers.data.label_counts import Histogram

    verdicts = Histogram("verdicts of the rows")
    write_rows(ctx.output("data"), kind="solutions", rows=(row.to_row() for row in _rows(config, ctx, verdicts)))
    metric = verdicts.metric()
    right = dict(metric["bars"]).get("correct", 0)
    ctx.metric("labels", metric)
    gate(
        right >= config.min_rows,
        f"sft_paths: {right} right solutions in the trees of {config.trees}, fewer than min_rows={config.min_rows} "
        f"(solved trees: {_solved(ctx, config)}). Search longer, on easier problems, or with more trees.",
    )
    gate(
        not config.paths.wrong or len(metric["bars"]) > 1,
        f"sft_paths: paths.wrong={config.paths.wrong} asks for wrong solutions too, and the trees of {config.trees} "
        "hold none. Use harder problems or a higher temperature, or set `paths.wrong: 0`.",
    )


@sft_paths.check
def fits(config: SftPathsConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The trees hold what the path policy ranks and filters by."""
    for said in lacking(made, config.trees, config.paths.reads, "the path policy"):
        yield "paths", said


@sft_paths.estimate
def size(config: SftPathsConfig, sizes: Sizes) -> dict[str, Any]:
    """At most the number of paths asked for."""
    trees, most = sizes(config.trees).get("records"), (config.paths.correct, config.paths.wrong)
    return {} if trees is None or None in most else {"rows": trees * sum(k for k in most if k is not None)}


def _rows(config: SftPathsConfig, ctx: Context, verdicts: Any) -> Iterator[Solution]:
    from reasoning_train.stages.labelling import count_drops, open_codec, problem_trees, stream

    codec = open_codec(ctx, config.policy)
    for problem_id, trees in problem_trees(ctx.input(config.trees), codec):
        ctx.count("in", sum(len(ends(tree)) for tree in trees))
        paths, dropped = config.paths.choose(trees, stream(ctx.seed, "sft_paths", problem_id), whole=True)
        count_drops(ctx, dropped)
        rows = path_solutions(paths, codec, config.weights)
        ctx.count("out", len(rows))
        verdicts.name(str(row.verdict) for row in rows)
        yield from rows


def _solved(ctx: Context, config: SftPathsConfig) -> str:
    share = ctx.input(config.trees).manifest.get("metrics", {}).get("trees", {}).get("solved")
    return "unknown" if share is None else f"{share:.1%}"
