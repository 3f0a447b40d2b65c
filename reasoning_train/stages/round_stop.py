"""`round_stop`: decides after each round whether to stop. Implicit: `rounds.NAME.stop` makes one per round."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from reasoning_train.api.refs import TableRef
from reasoning_train.api.stage import Context, Made, StageConfig, stage
from reasoning_train.stages.fits import row_misfit, unknown_metric


class RoundStopConfig(StageConfig):
    """The dev tables so far, one per round, oldest first, and the rule."""

    tables: list[TableRef] = Field(min_length=1)
    first: int = Field(1, ge=0, le=1)
    """Round of the first table. 0: the start was evaluated too."""
    metric: str
    row: str | None = None
    """The row of the tables to compare. Needed if they have several."""
    lower: bool = False
    """Lower values of the metric are better. For costs and `cut` this is the default."""
    min_gain: float = Field(0.0, ge=0)


@stage("round_stop", version=2, outputs={"decision": "decision"}, seeded=False, heavy=False, learns="chooses")
def round_stop(config: RoundStopConfig, ctx: Context) -> None:
    """Write decision.json: `{"stop": true, "values": {"1": 0.41, "2": 0.52, "3": 0.51}}`."""
    from reasoning_train.evaluation.dev_value import dev_value
    from reasoning_train.evaluation.names import lower_is_better

    values = [dev_value(ctx.input(ref), ref, config.metric, config.row, "stop") for ref in config.tables]
    manifests = [ctx.input(ref).manifest for ref in config.tables]
    stop = decide(values, config.min_gain, lower=config.lower or lower_is_better(config.metric, *manifests))
    decision: dict[str, Any] = {"stop": stop, "values": {str(config.first + i): v for i, v in enumerate(values)}}
    (ctx.output("decision") / "decision.json").write_text(json.dumps(decision, indent=2), encoding="utf-8")
    for name, value in decision.items():
        ctx.metric(name, value)


@round_stop.check
def names(config: RoundStopConfig, made: Made) -> Iterator[tuple[str, str]]:
    """A misspelt row or metric is reported before the run, not after the first round."""
    yield from unknown_metric(made, config.metric, config.tables)
    misfits = (row_misfit(made, config.row, table) for table in config.tables)
    yield from (("row", said) for said in itertools.islice(filter(None, misfits), 1))


def decide(values: Sequence[float], min_gain: float, *, lower: bool = False) -> bool:
    """Whether to stop, i.e. the last value does not beat the best earlier one by more than `min_gain`. `lower`: lower
    is better."""
    scores = [-value if lower else value for value in values]
    return len(scores) > 1 and scores[-1] - max(scores[:-1]) <= min_gain
