"""Prompts of scorers: filled templates, and solutions and gold as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.problem import Problem


def filled(template: str, parts: dict[str, str]) -> str:
    """The template with its placeholders replaced, in one pass: a question may itself contain a placeholder."""
    return re.sub("|".join(map(re.escape, parts)), lambda found: parts[found[0]], template)


def written(steps: Sequence[str], closing: str) -> str:
    """A partial solution, one step a line."""
    return "\n".join([*steps, closing] if closing else steps) or "(nothing yet)"


def gold_solution(problem: Problem, codec: StepCodec, who: str) -> str:
    """The worked solution. UserError, which names the scorer `who`, if there is none."""
    if problem.gold is None:
        raise UserError(
            f"scorer.{who} with show_gold: problem {problem.id!r} has no gold answer to show. Drop such problems first."
        )
    return written(problem.gold_steps, codec.format.task.answer_mark + problem.gold)
