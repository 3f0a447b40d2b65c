"""Rewards of sampled groups, as a TRL reward function: the task's verdict, shaped by a verifier if there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from data_gen.engines.base import Sample, Sampling
from data_gen.errors import UserError
from data_gen.programs.solve import grade_samples
from data_gen.records.scales import Scale, convert, convertible, sigmoid
from data_gen.records.verdict import Verdict

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from data_gen.records.problem import Problem
    from data_gen.records.solution import Solution
    from data_gen.tasks import Task
    from data_gen.verifiers.checkpoint import Verifier

Kind = Literal["mixed", "all_right", "all_wrong", "unverifiable"]


def shaped(right: bool, score: float) -> float:
    """sigma(0.5 r_m) + (r_v - 1), so that any right solution beats any wrong one (2409.12122, section 3.2).

    >>> shaped(True, 0.0), shaped(False, 0.0)
    (0.5, -0.5)
    """
    return sigmoid(0.5 * score) + (float(right) - 1)


def kind_of(verdicts: Sequence[Verdict]) -> Kind:
    """The kind of a group by its verdicts. Unverifiable samples are ignored unless all are unverifiable."""
    known = {verdict for verdict in verdicts if verdict is not Verdict.UNVERIFIABLE}
    if len(known) == 2:
        return "mixed"
    return {Verdict.CORRECT: "all_right", Verdict.WRONG: "all_wrong"}[known.pop()] if known else "unverifiable"  # type: ignore[return-value]


@dataclass
class Rewards:
    """`Rewards(problems, task, codec, Sampling(max_tokens=64), n=8)` is called with the completions of whole groups, n
    per problem."""

    problems: Sequence[Problem]
    task: Task
    codec: StepCodec
    sampling: Sampling
    n: int
    verifier: Verifier | None = None
    uniform_groups: Literal["keep", "skip"] = "keep"
    """What to do with groups of one verdict. Unverifiable groups are always skipped."""
    counts: Counter[str] = field(default_factory=Counter)
    """Counts of groups by kind, of samples that were cut or unverifiable, and of tokens that the verifier read."""
    skipped: list[bool] = field(default_factory=list)
    """Which completions of the last call are not trained on."""
    __name__ = "verdict"
    """TRL names its curves by this."""

    def __post_init__(self) -> None:
        if self.verifier is not None:
            self.verifier.format.check_same_task(self.codec.format, "the verifier", "the policy")
            reward_scale(self.verifier.head.config.scale)

    def __call__(
        self, *, completion_ids: Sequence[Sequence[int]], number: Sequence[int], **_: Any
    ) -> list[float | None]:
        """One reward per completion; None without a verdict. `number`: the index of each completion's problem."""
        rewards: list[float | None] = []
        self.skipped = []
        for at in range(0, len(completion_ids), self.n):
            problem = self.problems[number[at]]
            group = self._graded(problem, completion_ids[at : at + self.n])
            kind = kind_of([solution.verdict for solution in group])
            self.counts[f"groups.{kind}"] += 1
            skip = kind == "unverifiable" or (kind != "mixed" and self.uniform_groups == "skip")
            self.skipped += [skip or solution.verdict is Verdict.UNVERIFIABLE for solution in group]
            rewards += self._rewards(problem, group)
        return rewards

    def _graded(self, problem: Problem, completions: Sequence[Sequence[int]]) -> list[Solution]:
        samples = [Sample(token_ids=tuple(ids), logprobs=(), finish=self._finish(ids)) for ids in completions]
        group = grade_samples(
            problem, tuple(self.codec.prompt_ids(problem.question)), samples, self.sampling, self.codec, self.task
        )
        self.counts["samples"] += len(group)
        self.counts["samples.cut"] += sum(solution.finish == "length" for solution in group)
        self.counts["samples.unverifiable"] += sum(solution.verdict is Verdict.UNVERIFIABLE for solution in group)
        return group

    def _finish(self, ids: Sequence[int]) -> Literal["stop", "length"]:
        """Prompts leave room for all of `max_tokens`, so a shorter completion has ended by itself or by a stop text."""
        return "stop" if len(ids) < self.sampling.max_tokens or ids[-1] in self.codec.end_ids else "length"

    def _rewards(self, problem: Problem, group: list[Solution]) -> list[float | None]:
        right = [None if s.verdict is Verdict.UNVERIFIABLE else s.verdict is Verdict.CORRECT for s in group]
        if self.verifier is None:
            return [None if r is None else float(r) for r in right]
        return [
            None if r is None else shaped(r, score)
            for r, score in zip(right, self._scores(problem, group), strict=True)
        ]

    def _scores(self, problem: Problem, group: list[Solution]) -> list[float]:
        from reasoning_train.trainers.score import score_solutions

        assert self.verifier is not None
        scale = self.verifier.head.config.scale
        [(_, _, values)] = score_solutions(self.verifier, self.codec, [(problem, group)])
        self.counts["tokens.scored"] += sum(len(s.prompt_ids) + len(s.token_ids) for s in group)
        return [convert(each[-1], scale, reward_scale(scale)) for each in values]


def reward_scale(given: Scale) -> Scale:
    """The scale of rewards, which are unbounded: ranking scores as they are, other values as log-odds. UserError if a
    scale cannot be converted."""
    if given is Scale.RANKING:
        return given
    if not convertible(given, Scale.ODDS):
        raise UserError(
            f"The verifier's values are of scale {str(given)!r}, which does not say how likely a solution is "
            "right; a reward needs p, signed, odds or ranking. Calibrate the verifier, or train one of another "
            "kind."
        )
    return Scale.ODDS
