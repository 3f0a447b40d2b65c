"""Groups of completions from the policy that is being trained, by the engine that samples everywhere else: same ids,
ends and seeds."""

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


class Rollouts:
    """`Rollouts(policy, sampling, seed)(model, prompts, step)`. What is drawn depends on (seed, step, place in it)
    alone, on however many processes."""

    def __init__(self, policy: Policy, sampling: Sampling, seed: int) -> None:
        self.policy, self.sampling, self.seed = policy, sampling, seed
        self.generated = 0
        self._engine: TransformersEngine | None = None

    def __call__(self, model: Any, prompts: Sequence[Sequence[int]], step: int) -> list[list[int]]:
        """Completion ids, one to a prompt; equal prompts that stand together are drawn together."""
        from reasoning_train.models.engine import in_process

        training = model.training
        if self._engine is None:
            self._engine = in_process(self.policy, model=model)
        model.eval()
        self._engine.forget()
        mine = rank() * len(prompts)  # processes have equal shares of a step, in order
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
    """(where it begins, prompt, how many) of each run of equal prompts."""
    runs = [(prompt, len(list(run))) for prompt, run in itertools.groupby(prompts)]
    starts = itertools.accumulate((n for _, n in runs), initial=0)
    return [(at, prompt, n) for at, (prompt, n) in zip(starts, runs, strict=False)]
