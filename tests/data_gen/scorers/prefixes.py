"""Prefixes by hand, and a way to call a scorer outside a search."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from data_gen.engines.base import LM, Engine
from data_gen.format import StepCodec
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.scorers.base import Score, Scorer
from data_gen.verifiers.heads import step_ends
from tests.data_gen.typed import typed

R = TypeVar("R")
NOBODY = LM(cast(Engine, None), 0, ("nobody",))
"""For scorers that draw nothing."""


def problem(name: str = "p", question: str = "Ana has 12 coins.", gold: str | None = "17", **more: Any) -> Problem:
    return Problem(**{"id": name, "question": question, "gold": gold, "group": name, "split": "train", **more})


def prefix(
    codec: StepCodec,
    *steps: str,
    closing: str = "",
    answer: str | None = None,
    ended: bool = False,
    end: bool = False,
    ends: bool = True,
    of: Problem | None = None,
    **more: Any,
) -> Prefix:
    """Steps, each with its delimiter, as the policy would have written them. `end`: with its end token; `ends`:
    positions are known."""
    pieces = [("step", step + codec.format.task.step_delimiter) for step in steps]
    pieces += [("answer", closing)] if closing else []
    segments = codec.encode(typed(*pieces), end=end)
    ids = tuple(token for segment in segments for token in segment.token_ids)
    asked = of or problem()
    known = {"ends": tuple(step_ends(segments))} if ends else {}
    return Prefix(
        problem=asked,
        prompt_ids=tuple(codec.prompt_ids(asked.question)),
        token_ids=ids,
        read=lambda: (steps, closing),
        ended=ended,
        answer=answer,
        **{**known, **more},
    )


def whole(codec: StepCodec, *steps: str, answer: str = "17", end: bool = True, **more: Any) -> Prefix:
    """A solution with its answer."""
    return prefix(codec, *steps, closing=f"Answer: {answer}", answer=answer, ended=True, end=end, **more)


def score(scorer: Scorer, prefixes: Sequence[Prefix], lm: LM = NOBODY) -> list[Score]:
    return run(lambda: scorer(prefixes, lm))


def run(program: Callable[[], Awaitable[R]]) -> R:
    async def main() -> R:
        return await program()

    return asyncio.run(main())
