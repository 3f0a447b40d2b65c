"""Solutions to a verifier's values, read the way searches read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from data_gen.heads import step_ends
from data_gen.records import Problem, Solution
from data_gen.scorers.base import Prefix
from data_gen.verifiers.forward import Forward
from data_gen.verifiers.reading import Reader

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from data_gen.verifiers.checkpoint import Verifier


def score_solutions(
    verifier: Verifier, policy: StepCodec, pairs: Iterable[tuple[Problem, list[Solution]]]
) -> Iterator[tuple[Problem, list[Solution], list[tuple[float, ...]]]]:
    """Each problem with its solutions and, for each, the values where the verifier is read; one problem's at a time."""
    reader, forward = Reader(verifier.codec, policy, verifier.head.config.read_at), Forward(verifier)
    for problem, solutions in pairs:
        yield problem, solutions, forward.values([reader.read(as_prefix(problem, solution)) for solution in solutions])


def as_prefix(problem: Problem, solution: Solution) -> Prefix:
    """A whole solution as scorers see it."""
    steps = tuple(s.text.strip() for s in solution.segments if s.kind == "step")
    closing = next((s.text.strip() for s in reversed(solution.segments) if s.kind == "answer"), "")
    return Prefix(
        problem=problem,
        prompt_ids=solution.prompt_ids,
        token_ids=solution.token_ids,
        ends=tuple(step_ends(solution.segments)),
        read=lambda: (steps, closing),
        ended=solution.finish == "stop",
        answer=solution.answer,
    )
