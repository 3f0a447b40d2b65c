"""`round_stop`: after each round, whether to go on. Implicit: `rounds.NAME.stop` makes one per round."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from reasoning_train.api.refs import Ref, TableRef
from reasoning_train.api.stage import Context, StageConfig, gate, stage
from reasoning_train.store.rows import Rows


class RoundStopConfig(StageConfig):
    """The dev tables so far, one per round, oldest first, and the rule."""

    tables: list[TableRef] = Field(min_length=1)
    first: int = Field(1, ge=0, le=1)
    """Round of the first table; 0: the start was evaluated, too."""
    metric: str
    policy: str | None = None
    """Which policy of the tables; needed where they have several."""
    min_gain: float = Field(0.0, ge=0)


@stage("round_stop", version=1, outputs={"decision": "decision"}, seeded=False, heavy=False)
def round_stop(config: RoundStopConfig, ctx: Context) -> None:
    """Write decision.json: `{"stop": true, "best": 2, "scores": {"1": 0.41, "2": 0.52, "3": 0.51}}`."""
    scores = [_score(ref, config, ctx) for ref in config.tables]
    decision = decide(scores, config.first, config.min_gain)
    (ctx.output("decision") / "decision.json").write_text(json.dumps(decision, indent=2), encoding="utf-8")
    for name, value in decision.items():
        ctx.metric(name, value)


def decide(scores: Sequence[float], first: int, min_gain: float) -> dict[str, Any]:
    """Stop once the last score does not exceed the best before it by more than `min_gain`; of equal rounds the earliest
    is best."""
    stop = len(scores) > 1 and scores[-1] - max(scores[:-1]) <= min_gain
    best = max(range(len(scores)), key=lambda i: scores[i])
    return {"stop": stop, "best": first + best, "scores": {str(first + i): score for i, score in enumerate(scores)}}


def _score(ref: Ref, config: RoundStopConfig, ctx: Context) -> float:
    """Mean of the metric over the verifiable problems of one table."""
    from reasoning_train.evaluation.summary import collect

    table = collect(Rows(ctx.input(ref).path), [int(k) for k in re.findall(r"@(\d+)$", config.metric)])[0]
    known = ", ".join(sorted(table))
    gate(len(table) > 0, f"stop: {ref} has no problem that can be verified.")
    gate(
        len(table) == 1 or config.policy in table,
        f"stop.policy: {config.policy!r} is not a row of {ref}, which has {known}. Name one of them.",
    )
    problems = next(iter(table.values())) if len(table) == 1 else table[config.policy or ""]
    metrics = sorted(set.intersection(*(set(values) for values in problems.values())))
    gate(config.metric in metrics, f"stop.metric: {ref} has no metric {config.metric!r}; it has {', '.join(metrics)}.")
    return sum(values[config.metric] for values in problems.values()) / len(problems)
