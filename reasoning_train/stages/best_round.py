"""`best_round`: the policy of the round that did best on dev. Implicit: `${rounds.NAME.best}` makes it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field

from reasoning_train.api.refs import Kind, ModelRef, Ref
from reasoning_train.api.stage import Context, StageConfig, stage


class BestRoundConfig(StageConfig):
    """The last decision and the policies that it chose from, oldest first."""

    decision: Annotated[Ref, Kind("decision")]
    policies: list[ModelRef] = Field(min_length=1)
    first: int = Field(1, ge=0, le=1)
    """Round of the first policy; 0: the start itself may be best."""


@stage("best_round", version=1, outputs={"model": "model"}, seeded=False, heavy=False)
def best_round(config: BestRoundConfig, ctx: Context) -> None:
    """Publish the chosen policy again; files are hard links where the file system has them, so it takes no space."""
    best = json.loads((ctx.input(config.decision).path / "decision.json").read_text(encoding="utf-8"))["best"]
    chosen = ctx.input(config.policies[best - config.first])
    shutil.copytree(chosen.path, ctx.output("model"), copy_function=_link, dirs_exist_ok=True)
    ctx.metric("round", best)


def _link(source: str, target: str) -> None:
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copy2(source, target)
