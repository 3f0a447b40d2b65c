"""Scores solutions by a verifier's values or a model's log-probabilities, read in the same way as in searches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.models.context import context_length
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.verifiers.checkpoint import Verifier, load_backbone
from data_gen.verifiers.forward import Forward, MeanLogprob
from data_gen.verifiers.heads import step_ends
from data_gen.verifiers.reading import PrefixReader
from reasoning_train.models.policy import refuse_served


def score_solutions(
    verifier: Verifier, policy: StepCodec, pairs: Iterable[tuple[Problem, list[Solution]]]
) -> Iterator[tuple[Problem, list[Solution], list[tuple[float, ...]]]]:
    """Yields each problem with its solutions and the verifier's values of each solution, one problem at a time."""
    reader, forward = PrefixReader(verifier.codec, policy, verifier.head.config.read_at), Forward(verifier)
    for problem, solutions in pairs:
        yield problem, solutions, forward.values([reader.read(as_prefix(problem, solution)) for solution in solutions])


def mean_logprobs(
    folder: Path, policy: StepCodec, pairs: Iterable[tuple[Problem, list[Solution]]]
) -> Iterator[tuple[Problem, list[Solution], list[float]]]:
    """Yields each problem with its solutions and (1/|y|) log p(y | q) of each under the causal LM in `folder`; -inf for
    an empty solution."""
    refuse_served(folder)
    model, codec = load_backbone(folder, "from_vocab")
    codec.format.check_same_task(policy.format, f"the model in {folder}", "the policy")
    reader, scores, context = PrefixReader(codec, policy, "last"), MeanLogprob(model), context_length(model.config)
    for problem, solutions in pairs:
        readings = [reader.read_after_prompt(as_prefix(problem, solution)) for solution in solutions]
        if (longest := max(len(reading.ids) for reading in readings)) > context:
            raise UserError(
                f"likelihoods: a solution of problem {problem.id!r} has {longest} tokens, more than the model's "
                f"context of {context}. Take a model with a longer context, or sample shorter solutions."
            )
        written = [len(reading.ids) > reading.at[0] + 1 for reading in readings]
        found = iter(scores.values([reading for reading, some in zip(readings, written, strict=True) if some]))
        yield problem, solutions, [next(found)[0] if some else -math.inf for some in written]


def as_prefix(problem: Problem, solution: Solution) -> Prefix:
    """A whole solution in the form that scorers take."""
    steps = solution.steps
    closing = next((s.text.strip() for s in reversed(solution.segments) if s.kind is Kind.ANSWER), "")
    return Prefix(
        problem=problem,
        prompt_ids=solution.prompt_ids,
        token_ids=solution.token_ids,
        ends=tuple(step_ends(solution.segments)),
        read=lambda: (steps, closing),
        ended=solution.finish == "stop",
        answer=solution.answer,
    )
