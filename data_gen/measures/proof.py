"""`proof`: whether the steps of a solution prove what the gold proof ends with (PrOntoQA, arXiv 2210.01240)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from data_gen.grading.proofs import Claim, follows, follows_at_once, read_claims
from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution

COLUMNS = ("proof_strict", "proof_broad", "proof_valid", "proof_stray")


@MEASURES.register("proof")
class Proof(Measure):
    """`measures: [proof]`, for problems that state facts and rules before a question, and bring a gold proof as steps.

    A sentence of the solution is valid if the problem states it, or if it follows by one step from what the problem
    states and the valid sentences before it. `proof_strict`: the conclusion of the gold proof is among the valid
    sentences. `proof_broad`: it is, where sentences may also skip steps. `proof_valid`: the share of sentences that are
    valid. `proof_stray`: the share of valid sentences that the gold proof does without (the paper's misleading steps).
    Sentences that are neither facts nor rules do not count, and the verdict on the answer does not matter.
    """

    version: ClassVar[int] = 1
    reads_gold: ClassVar[bool] = True
    uses: Literal["proof"] = "proof"

    def directions(self) -> Mapping[str, Direction]:
        """Four columns; of stray sentences fewer are better."""
        return {name: Direction.LOWER if name == "proof_stray" else Direction.HIGHER for name in COLUMNS}

    def shares(self) -> frozenset[str]:
        """All columns."""
        return frozenset(COLUMNS)

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """No columns for a problem whose gold proof cannot be read. `proof_stray` is left out where no sentence is
        valid."""
        gold = list(read_claims("\n".join(problem.gold_steps)))
        if not gold:
            return {}
        given = set(read_claims(problem.question.partition("?")[0].rpartition(".")[0]))
        said = list(read_claims("\n".join(solution.steps)))
        valid, skipping = _established(said, given, skips=False), _established(said, given, skips=True)
        found = {
            "proof_strict": float(gold[-1] in valid),
            "proof_broad": float(gold[-1] in skipping),
            "proof_valid": len(valid) / len(said) if said else 0.0,
        }
        return found | ({"proof_stray": sum(claim not in gold for claim in valid) / len(valid)} if valid else {})


def _established(said: list[Claim], given: set[Claim], *, skips: bool) -> list[Claim]:
    """The sentences that are valid, in order. A sentence that is not establishes nothing."""
    known, found = set(given), list[Claim]()
    for claim in said:
        if (follows if skips else follows_at_once)(claim, known):
            known.add(claim)
            found.append(claim)
    return found
