"""Limits the share of unverifiable problems, so that a table without them is not taken for one of all problems."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasoning_train.api.stage import Context, Gate, gate

MOST_UNVERIFIABLE = 0.05
"""Default of `max_unverifiable`, a share of the problems."""

MaxUnverifiable = Annotated[float, Field(ge=0, le=1), Gate()]
"""Greatest allowed share of problems whose gold is missing or unreadable. They are counted and left out of all figures.
The stage stops if there are more."""


def check_verifiable(
    stage: str, ctx: Context, unverifiable: int, problems: int, most: float, example: str = ""
) -> None:
    """Stop if too many problems cannot be verified.

    Args:
        stage: Name of the stage, for the message.
        ctx: Records the metric `unverifiable_share`.
        unverifiable: Number of problems without gold that the task's grader can read.
        problems: Number of all problems.
        most: Greatest share that may be left out.
        example: A sentence about one of them, for the message.

    Raises:
        GateError: More problems cannot be verified.
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
