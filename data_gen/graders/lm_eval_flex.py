"""`lm_eval_flex`: the metric `exact_match,flexible-extract` of lm-evaluation-harness on GSM8K."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.extractors.base import Extractor
from data_gen.extractors.regex import Regex
from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.harness import FLEXIBLE, cleaned
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade


@GRADERS.register("lm_eval_flex")
class LmEvalFlex(Grader):
    """`graders: {flex: lm_eval_flex}`: the last number of a completion, compared with gold as text, exactly as
    lm-evaluation-harness does in its tasks `gsm8k` and `gsm8k_cot`. It reads whole completions, cut ones too. It takes
    the `$.` behind a formula for a number, and the last of several answers, so never report it alone."""

    version: ClassVar[int] = 1
    forms_decide: ClassVar[bool] = True
    uses: Literal["lm_eval_flex"] = "lm_eval_flex"

    @property
    def finds_with(self) -> tuple[Extractor, ...]:
        """The last match of the pattern."""
        return (Regex(pattern=FLEXIBLE),)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """Its text as it is compared."""
        return cleaned(answer)

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `lm_eval`."""
        return decided(cleaned(gold) == cleaned(answer), "lm_eval")
