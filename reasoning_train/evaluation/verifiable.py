"""The cap on problems that nothing can verify: a table without them must not pass for one of all problems."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasoning_train.api.stage import Context, gate

MOST_UNVERIFIABLE = 0.05
"""Share of the problems, by default."""

MaxUnverifiable = Annotated[float, Field(ge=0, le=1)]
"""Greatest share of problems whose gold is missing or cannot be read. They are left out of every figure and counted; a
stage with more of them stops."""


def check_verifiable(
    stage: str, ctx: Context, unverifiable: int, problems: int, most: float, example: str = ""
) -> None:
    """Stop where too many problems cannot be verified.

    Args:
        stage: Name of the stage, for the message.
        ctx: Takes the metric `unverifiable_share`.
        unverifiable: How many problems have no gold or none that the task's grader can read.
        problems: All of them.
        most: The greatest share that may be left out.
        example: A sentence about one of them.

    Raises:
        GateError: Where there are more.
    """
    share = unverifiable / problems if problems else 0.0
    ctx.metric("unverifiable_share", share)
    gate(
        share <= most,
        f"{stage}: {unverifiable} of {problems} problems cannot be verified, since their gold is missing or the task's "
        f"grader cannot read it; max_unverifiable={most:g} allows a share of {most:.0%}. Name a grader that reads such "
        "gold (`task.grader`; `reasoning-train list graders`), correct `task.fields.answer`, or raise max_unverifiable."
        + example,
    )
