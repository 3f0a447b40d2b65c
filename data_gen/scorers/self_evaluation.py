"""The policy's own judgement of a partial solution: P(A) / (P(A) + P(B)) after a question with two options (MCTS-DPO,
arXiv 2405.00451).

Showing the gold solution for comparison improves it markedly (AUC 74.7 against 62.0 on GSM8K in the paper).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import model_validator

from data_gen.engines.base import LM
from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale, sigmoid
from data_gen.scorers.base import SCORERS, Score, ScorerConfig, Tools
from data_gen.scorers.wording import filled, gold_solution, written

TEMPLATE = "{question}\n\nSolution so far:\n{solution}\n\nIs the solution so far (A) correct or (B) incorrect?"
GOLD_TEMPLATE = (
    "{question}\n\nA correct solution:\n{gold}\n\nAnother solution so far:\n{solution}\n\nIs the other one (A) "
    "correct or (B) incorrect?"
)


@SCORERS.register("self_evaluation")
class SelfEvaluation(ScorerConfig):
    """`{uses: self_evaluation}`: the policy's own probability that the partial solution is right.

    `{uses: self_evaluation, show_gold: true}` shows the gold solution in the prompt.
    """

    uses: Literal["self_evaluation"] = "self_evaluation"
    show_gold: bool = False
    template: str = ""
    """The question to the policy. `{question}`, `{solution}` and, with `show_gold`, `{gold}` are replaced. Empty: the
    built-in template."""
    lead: str = "The solution so far is ("
    """Beginning of the policy's answer. The options follow it."""
    options: tuple[str, str] = ("A", "B")
    """The right option and the wrong option."""

    @model_validator(mode="after")
    def _complete(self) -> SelfEvaluation:
        missing = [name for name in ("{question}", "{solution}") if name not in self.wording]
        if missing or ("{gold}" in self.wording) != self.show_gold:
            expected = "{question}, {solution} and " + ("{gold}" if self.show_gold else "no {gold} without show_gold")
            raise ValueError(f"template must hold {expected}")
        if not all(self.options) or self.options[0] == self.options[1]:
            raise ValueError(f"options must be two different texts, got {list(self.options)}")
        return self

    @property
    def wording(self) -> str:
        """The template in use."""
        return self.template or (GOLD_TEMPLATE if self.show_gold else TEMPLATE)

    @property
    def needs_gold(self) -> bool:
        """True only if the gold solution is shown."""
        return self.show_gold

    def open(self, tools: Tools) -> _SelfEvaluation:
        """UserError if `show_gold` is set and the stage does not grant gold."""
        if self.show_gold:
            tools.granted("scorer.self_evaluation with show_gold")
        return _SelfEvaluation(self, tools)


class _SelfEvaluation:
    scale = Scale.P

    def __init__(self, config: SelfEvaluation, tools: Tools) -> None:
        self.name = f"self_evaluation:{tools.policy_hash}"
        self._config, self._codec, self._context = config, tools.codec, tools.context
        self._lead, self._options = _continuations(tools.codec.tokenizer, config.lead, config.options)

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """All prefixes at once. Both options of a prefix go through the engine together."""
        return list(await asyncio.gather(*(self._score(prefix, lm) for prefix in prefixes)))

    async def _score(self, prefix: Prefix, lm: LM) -> Score:
        ids = [*self._codec.ids_to_answer(self._question(prefix)), *self._lead]
        length = len(ids) + sum(map(len, self._options))
        if len(ids) + max(map(len, self._options)) > self._context:
            raise UserError(
                f"scorer {self.name}: the question about a partial solution of problem {prefix.problem.id!r} has "
                f"{length} tokens, but the policy's context is {self._context}. Lower the search's `max_length` or "
                "shorten the scorer's `template`."
            )
        right, wrong = (math.fsum(logprobs) for logprobs in await lm.score(ids, self._options))
        return Score(sigmoid(right - wrong), tokens=length)

    def _question(self, prefix: Prefix) -> str:
        parts = {"{question}": prefix.problem.question, "{solution}": written(prefix.steps, prefix.closing)}
        if self._config.show_gold:
            parts["{gold}"] = gold_solution(prefix.problem, self._codec, "self_evaluation")
        return filled(self._config.wording, parts)


def _continuations(tokenizer: Any, lead: str, options: tuple[str, str]) -> tuple[list[int], list[list[int]]]:
    """The ids that both answers share at the start, and the rest of each. They are split by ids because one token may
    hold the end of the lead and an option."""
    right, wrong = (tokenizer(lead + option, add_special_tokens=False)["input_ids"] for option in options)
    shared = next(
        (i for i, (a, b) in enumerate(zip(right, wrong, strict=False)) if a != b), min(len(right), len(wrong))
    )
    if shared == min(len(right), len(wrong)):
        raise UserError(
            f"scorer.self_evaluation: to this tokenizer one of {lead + options[0]!r} and {lead + options[1]!r} begins "
            "with the other (words that it does not know are equal). Choose other `options`."
        )
    return right[:shared], [right[shared:], wrong[shared:]]
