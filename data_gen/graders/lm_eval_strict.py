"""`lm_eval_strict`: the metric `exact_match,strict-match` of lm-evaluation-harness on GSM8K."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.extractors.base import Extractor
from data_gen.extractors.regex import Regex
from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.harness import STRICT, GsmTask, cleaned
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade


@GRADERS.register("lm_eval_strict")
class LmEvalStrict(Grader):
    """`graders: {strict: lm_eval_strict}`: the first number behind `#### `, compared with gold as text, exactly as
    lm-evaluation-harness does in its task `gsm8k`. With `task: gsm8k_cot` it is the number behind `The answer is `.
    It reads whole completions, cut ones too, so it counts only what keeps to that form."""

    version: ClassVar[int] = 1
    forms_decide: ClassVar[bool] = True
    uses: Literal["lm_eval_strict"] = "lm_eval_strict"
    task: GsmTask = "gsm8k"

    @property
    def finds_with(self) -> tuple[Extractor, ...]:
        """The first match of the task's pattern."""
        return (Regex(pattern=STRICT[self.task], which="first"),)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """Its text as it is compared."""
        return cleaned(answer)

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `lm_eval`."""
        return decided(cleaned(gold) == cleaned(answer), "lm_eval")
