"""An LM as judge, asked for the first wrong step of a solution (error localisation in Step-DPO, arXiv 2406.18629,
section 3.3)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from data_gen.engines.base import LM, Sampling
from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers.base import SCORERS, Score, ScorerConfig, Tools
from data_gen.scorers.wording import filled, gold_solution

TEMPLATE = (
    "{question}\n\nA solution, step by step:\n{solution}\n\nWhich is the first step that is wrong? Answer with its "
    'number, or with "none" if every step is right.'
)
GOLD_TEMPLATE = (
    "{question}\n\nA correct solution:\n{gold}\n\nAnother solution, step by step:\n{solution}\n\n"
    + TEMPLATE.split("\n\n")[-1]
)

Pieces = tuple[str, ...]
"""The steps and, if the solution is finished, the answer line."""


@SCORERS.register("step_judge")
class StepJudge(ScorerConfig):
    """`{uses: step_judge, samples: 5, temperature: 0.7}`: the share of verdicts that find nothing wrong so far.

    The value is 0.5 if no verdict can be read.

    A solution is judged once, as a whole. Prefixes that are scored together with a longer one take their values from
    its verdicts. The judge is the stage's policy, on any engine.
    """

    uses: Literal["step_judge"] = "step_judge"
    samples: int = Field(1, ge=1)
    """Number of verdicts per solution."""
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(32, ge=1)
    """Token limit of one verdict. Raise it if the judge should reason first: the last number or "none" in its text
    counts."""
    show_gold: bool = False
    template: str = ""
    """The question to the judge. `{question}`, `{solution}` and, with `show_gold`, `{gold}` are replaced. Empty: the
    built-in template."""

    @model_validator(mode="after")
    def _complete(self) -> StepJudge:
        missing = [name for name in ("{question}", "{solution}") if name not in self.wording]
        if missing or ("{gold}" in self.wording) != self.show_gold:
            expected = "{question}, {solution} and " + ("{gold}" if self.show_gold else "no {gold} without show_gold")
            raise ValueError(f"template must hold {expected}")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"temperature: {self.samples} greedy verdicts are all the same; expected more than 0")
        return self

    @property
    def wording(self) -> str:
        """The template in use."""
        return self.template or (GOLD_TEMPLATE if self.show_gold else TEMPLATE)

    @property
    def needs_gold(self) -> bool:
        """True only if the gold solution is shown."""
        return self.show_gold

    def draws(self) -> tuple[int, int]:
        """Samples and tokens of its verdicts."""
        return self.samples, self.samples * self.max_tokens

    def open(self, tools: Tools) -> _StepJudge:
        """UserError if `show_gold` is set and the stage does not grant gold."""
        if self.show_gold:
            tools.granted("scorer.step_judge with show_gold")
        return _StepJudge(self, tools)


class _StepJudge:
    scale = Scale.P

    def __init__(self, config: StepJudge, tools: Tools) -> None:
        self.name = f"step_judge:{tools.policy_hash}"
        self._config, self._tools = config, tools
        self._sampling = Sampling(max_tokens=config.max_tokens, temperature=config.temperature)

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """One request for each solution that is not a prefix of another one."""
        pieces = [_pieces(prefix) for prefix in prefixes]
        furthest = [
            own
            for own in dict.fromkeys(pieces)
            if not any(len(other) > len(own) and other[: len(own)] == own for other in pieces)
        ]
        longest = {own: next(other for other in furthest if other[: len(own)] == own) for own in pieces}
        asked = {whole: prefixes[pieces.index(whole)] for whole in dict.fromkeys(longest.values()) if whole}
        judged = await asyncio.gather(
            *(self._judge(prefix, whole, lm.at(i)) for i, (whole, prefix) in enumerate(asked.items()))
        )
        found = dict(zip(asked, judged, strict=True))
        charged: set[Pieces] = set()
        return [self._score(own, longest[own], found, charged) for own in pieces]

    def _score(
        self, own: Pieces, whole: Pieces, found: dict[Pieces, tuple[list[int], int]], charged: set[Pieces]
    ) -> Score:
        if not own:
            return Score(0.5 if not whole else 1.0)  # a bare question has no wrong step
        verdicts, tokens = found[whole]
        value = sum(first > len(own) for first in verdicts) / len(verdicts) if verdicts else 0.5
        cost = 0 if whole in charged else tokens
        charged.add(whole)
        return Score(value, tokens=cost)

    async def _judge(self, prefix: Prefix, pieces: Pieces, lm: LM) -> tuple[list[int], int]:
        """(first wrong step of every readable verdict, tokens read and written). The number of steps plus 1 stands for
        "none"."""
        ids = self._tools.codec.ids_to_answer(self._question(prefix, pieces))
        if len(ids) + self._config.max_tokens > self._tools.context:
            raise UserError(
                f"scorer {self.name}: the question about a solution of problem {prefix.problem.id!r} has {len(ids)} "
                f"tokens and its answer {self._config.max_tokens}, more than the policy's context of "
                f"{self._tools.context}. Lower the search's `max_length`."
            )
        samples = await lm.generate(ids, self._config.samples, self._sampling)
        texts = [self._tools.codec.decode(sample.token_ids) for sample in samples]
        verdicts = [verdict for text in texts if (verdict := read_verdict(text, len(pieces))) is not None]
        for _ in range(len(texts) - len(verdicts)):
            self._tools.count("scorer.unreadable_verdicts")
        return verdicts, len(ids) + sum(len(sample.token_ids) for sample in samples)

    def _question(self, prefix: Prefix, pieces: Pieces) -> str:
        steps = "\n".join(f"{i}. {piece}" for i, piece in enumerate(pieces, 1))
        parts = {"{question}": prefix.problem.question, "{solution}": steps}
        if self._config.show_gold:
            parts["{gold}"] = gold_solution(prefix.problem, self._tools.codec, "step_judge")
        return filled(self._config.wording, parts)


def read_verdict(text: str, steps: int) -> int | None:
    """The judge's last statement: a step's number, or `steps` + 1 for "none". None if it is neither.

    >>> [read_verdict(text, 4) for text in ("Step 2 is fine. The first wrong one is step 3.", "None of them", "9")]
    [3, 5, None]
    """
    found = re.findall(r"\d+|\bnone\b", text.lower())
    if not found:
        return None
    if found[-1] == "none":
        return steps + 1
    number = int(found[-1])
    return number if 1 <= number <= steps else None


def _pieces(prefix: Prefix) -> Pieces:
    return (*prefix.steps, prefix.closing) if prefix.closing else prefix.steps
