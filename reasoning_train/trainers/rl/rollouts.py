"""Samples groups of completions from the policy in training, with the engine used everywhere else: same ids, stop rules
and seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_gen.engines.base import LM, Sampling
from data_gen.engines.programs import run_programs
from reasoning_train.process.ranks import rank

if TYPE_CHECKING:
    from data_gen.engines.local.engine import TransformersEngine
    from reasoning_train.models.policy import Policy


class PolicyRollouts:
    """`PolicyRollouts(policy, sampling, seed)(model, prompts, step)`. Samples depend only on seed, step and position in
    the step, for any number of processes."""

    def __init__(self, policy: Policy, sampling: Sampling, seed: int) -> None:
        self.policy, self.sampling, self.seed = policy, sampling, seed
        self.generated = 0
        self._engine: TransformersEngine | None = None

    def __call__(self, model: Any, prompts: Sequence[Sequence[int]], step: int) -> list[list[int]]:
        """Completion ids, one per prompt. Adjacent equal prompts are sampled together."""
        from reasoning_train.models.engine import in_process

        training = model.training
        if self._engine is None:
            self._engine = in_process(self.policy, model=model)
        model.eval()
        self._engine.forget()
        mine = rank() * len(prompts)  # each process has an equal share of the step, in order
        before, drawn = self._engine.usage.generated_tokens, dict[int, list[list[int]]]()

        async def program(item: tuple[int, Sequence[int], int], lm: LM) -> list[list[int]]:
            return [list(sample.token_ids) for sample in await lm.generate(item[1], item[2], self.sampling)]

        for item, samples in run_programs(
            self._engine,
            _groups(prompts),
            program,
            seed=self.seed,
            key=lambda i: f"{step}/{mine + i[0]}",
            in_flight=512,
        ):
            drawn[item[0]] = samples
        model.train(training)
        self.generated += self._engine.usage.generated_tokens - before
        return [ids for at in sorted(drawn) for ids in drawn[at]]


def _groups(prompts: Sequence[Sequence[int]]) -> list[tuple[int, Sequence[int], int]]:
    """(start, prompt, count) of each run of equal prompts."""
    runs = [(prompt, len(list(run))) for prompt, run in itertools.groupby(prompts)]
    starts = itertools.accumulate((n for _, n in runs), initial=0)
    return [(at, prompt, n) for at, (prompt, n) in zip(starts, runs, strict=False)]
