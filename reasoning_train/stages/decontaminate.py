"""`decontaminate`: reports training problems that repeat an evaluation problem and, depending on `policy`, drops them.

It works on problems before anything is sampled, so no compute is spent on dropped problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from data_gen.overlap import N, keys_of
from data_gen.records.problem import Problem
from reasoning_train.api.refs import OutputKind, ProblemsRef, Ref
from reasoning_train.api.stage import Context, Input, Made, StageConfig, gate, rows_of, stage
from reasoning_train.stages.fits import tasks
from reasoning_train.store.inputs import DISJOINT, pass_on_tasks, read_problems
from reasoning_train.store.rows import write_rows


class DecontaminateConfig(StageConfig):
    """What is compared. `ngram`: a shared run of n normalised words. `exact`: the same normalised question, allowed
    only if splits are disjoint by construction (templated problems share long runs of words without being the same
    problem)."""

    problems: ProblemsRef
    against: list[Annotated[Ref, OutputKind("problems", same_format=False)]] = Field(min_length=1)
    """Evaluation sets of any task; only their questions are read."""
    match: Literal["ngram", "exact"] = "ngram"
    n: int = Field(N, ge=4)
    """Words in a run; in scripts without spaces, characters. A shorter question must match as a whole."""
    policy: Literal["drop", "report"] = "drop"

    @property
    def words(self) -> int | None:
        """Words that overlapping questions share in a row; None: they are the same as a whole."""
        return self.n if self.match == "ngram" else None


@stage(
    "decontaminate",
    version=2,
    outputs={"data": "problems"},
    seeded=False,
    heavy=False,
    carries="problems",
    avoids=["against"],
)
def decontaminate(config: DecontaminateConfig, ctx: Context) -> None:
    """Write the clean problems; the metrics have the hits per evaluation set."""
    source, out = ctx.input(config.problems), ctx.output("data")
    sets = {str(ref): ctx.input(ref) for ref in config.against}
    if config.match == "exact":
        _require_disjoint(sets)
    known = {
        name: {key for p in read_problems(held_out) for key in keys_of(p.question, config.words)}
        for name, held_out in sets.items()
    }
    rows = write_rows(
        out, kind="problems", rows=(p.to_row() for p in _clean(read_problems(source), known, config, ctx))
    )
    gate(
        rows > 0,
        f"decontaminate: every row of {config.problems} repeats a problem of {', '.join(sets)}. Train on another "
        "split.",
    )
    pass_on_tasks(source, out, ctx)


@decontaminate.check
def fits(config: DecontaminateConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Exact matching is enough only if splits are disjoint by construction."""
    for i, ref in enumerate(config.against) if config.match == "exact" else ():
        for task in tasks(made, ref):
            if not task.disjoint_splits:
                yield (
                    f"against.{i}",
                    f"match=exact is for tasks whose splits are disjoint by construction; {task.uses!r} does not "
                    "promise that. Use match=ngram.",
                )


decontaminate.estimate(rows_of("problems"))


def _require_disjoint(sets: dict[str, Input]) -> None:
    for name, source in sets.items():
        gate(
            bool(source.manifest["metrics"].get(DISJOINT)),
            f"decontaminate: match=exact is for tasks whose splits are disjoint by construction; {name} does not "
            "promise that. Use match=ngram.",
        )


def _clean(
    rows: Iterator[Problem], known: dict[str, set[str]], config: DecontaminateConfig, ctx: Context
) -> Iterator[Problem]:
    hits: Counter[str] = Counter()
    for row in rows:
        ctx.count("in")
        own = keys_of(row.question, config.words)
        found = [name for name, keys in known.items() if not own.isdisjoint(keys)]
        hits.update(found)
        if found and config.policy == "drop":
            ctx.count("dropped.contaminated")
            continue
        ctx.count("out")
        yield row
    ctx.metric("hits", {name: hits[name] for name in known})
