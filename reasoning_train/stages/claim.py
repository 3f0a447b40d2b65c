"""`claim`: what a recipe says will happen, written before the run, held against all seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from data_gen.errors import nearest
from reasoning_train.api.refs import TableRef
from reasoning_train.api.stage import Context, Made, StageConfig, gate, stage
from reasoning_train.store.rows import Rows

if TYPE_CHECKING:
    import numpy as np

SIGN_SHARE = 0.8
"""`supported` also needs the claimed sign in this share of the seeds (4 of 5)."""


class ClaimConfig(StageConfig):
    """`better` exceeds `than` on `metric` by more than `margin`; with `control`, also gains more over `than` than the
    control does."""

    table: list[TableRef] = Field(min_length=1)
    """One reference in the recipe; it becomes the list over all seeds."""
    metric: str = "accuracy"
    better: str
    than: str
    control: str | None = None
    margin: float = 0.0
    ks: list[int] = []
    """Which k the metric needs (`pass@8`: [8])."""


@stage("claim", version=1, outputs={"verdict": "verdict"}, seeded=False, across_seeds=True, heavy=False)
def claim(config: ClaimConfig, ctx: Context) -> None:
    """Write the verdict and the differences behind it. One seed gives numbers, never a verdict."""
    arrays = _arrays(config, ctx)
    comparisons = {f"{config.better} - {config.than}": arrays[config.better] - arrays[config.than]}
    if config.control:
        comparisons[f"{config.control} - {config.than}"] = arrays[config.control] - arrays[config.than]
        comparisons[f"{config.better} - {config.control}"] = arrays[config.better] - arrays[config.control]
    found = {name: _compare(values, config.margin) for name, values in comparisons.items()}
    needed = [f"{config.better} - {config.than}", *([f"{config.better} - {config.control}"] if config.control else [])]
    verdict = _overall([found[name]["verdict"] for name in needed])
    for name in found.keys() - set(needed):
        found[name]["verdict"] = "not claimed"
    (ctx.output("verdict") / "verdict.json").write_text(
        json.dumps({"verdict": verdict, "comparisons": found}, indent=2), encoding="utf-8"
    )
    ctx.metric("verdict", verdict)
    ctx.metric("comparisons", found)
    ctx.metric("table", _table(config, found, verdict))


@claim.check
def names(config: ClaimConfig, made: Made) -> Iterator[tuple[str, str]]:
    """A misspelt policy or strategy is told before the run, not at its end."""
    table = made(config.table[0])
    known: Mapping[str, Any] = table.get("policies") or table.get("strategies") or {}
    for field in ("better", "than", "control") if known else ():
        name = getattr(config, field)
        if name is not None and name not in known:
            yield field, f"the table {str(config.table[0])!r} has no row {name!r}.{nearest(name, known)}"
    kind, _, k = config.metric.partition("@")
    if kind in ("pass", "maj") and k.isdecimal() and int(k) not in config.ks:
        yield "metric", f"{config.metric} needs `ks: [{k}]` in the claim."


def _arrays(config: ClaimConfig, ctx: Context) -> dict[str, np.ndarray]:
    """policy -> [S, P], on the problems that all seeds could verify."""
    import numpy as np

    from reasoning_train.evaluation.summary import collect

    tables = [collect(Rows(ctx.input(ref).path), config.ks)[0] for ref in config.table]
    names = [config.better, config.than, *([config.control] if config.control else [])]
    for name in names:
        known = sorted(tables[0])
        gate(
            name in tables[0],
            f"claim: the table has no policy {name!r}; it has {', '.join(known)}. `better`, `than`, `control` name "
            "rows of it.",
        )
    problems = sorted(set.intersection(*(set(table[name]) for table in tables for name in names)))
    metrics = sorted(next(iter(tables[0][names[0]].values())))
    gate(
        config.metric in metrics,
        f"claim: the table has no metric {config.metric!r}; it has {', '.join(metrics)}. pass@k and maj@k need `ks`.",
    )
    return {name: np.array([[table[name][p][config.metric] for p in problems] for table in tables]) for name in names}


def _compare(values: np.ndarray, margin: float) -> dict[str, Any]:
    """Interval over seeds and problems, per-seed intervals, and the verdict of one difference. values [S, P]."""
    from reasoning_train.evaluation.intervals import interval

    bounds = (-1.0, 1.0)
    pooled = interval(values, bounds)
    seeds = [interval(row, bounds) for row in values]
    signs = sum(estimate.value > margin for estimate in seeds) / len(seeds)
    if len(seeds) == 1:
        verdict = "one seed, no verdict"
    elif pooled.low > margin and signs >= SIGN_SHARE:
        verdict = "supported"
    elif pooled.high < margin:
        verdict = "contradicted"
    else:
        verdict = "not resolved"
    per_seed = [[e.value, e.low, e.high] for e in seeds]
    return {"verdict": verdict, "estimate": [pooled.value, pooled.low, pooled.high], "per_seed": per_seed}


def _overall(verdicts: list[str]) -> str:
    if "contradicted" in verdicts:
        return "contradicted"
    return verdicts[0] if len(set(verdicts)) == 1 else "not resolved"


def _table(config: ClaimConfig, found: dict[str, Any], verdict: str) -> dict[str, Any]:
    from reasoning_train.evaluation.intervals import Estimate

    rows = [
        [
            name,
            Estimate(*c["estimate"]).percent(signed=True),
            "; ".join(Estimate(*s).percent(signed=True) for s in c["per_seed"]),
            c["verdict"],
        ]
        for name, c in found.items()
    ]
    return {
        "title": f"claim on {config.metric}: {verdict}",
        "columns": ["difference", "all seeds", "each seed", "verdict"],
        "rows": rows,
    }
