"""Self-refinement (arXiv 2303.17651; as prompted in Bag of Tricks, arXiv 2502.07191): draft, feedback, refined draft,
until the feedback finds nothing.

    ask:draft > (ask:feedback > [stop if it says `stop_phrase`] > ask:refine)*rounds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from data_gen.measures.base import Direction
from data_gen.programs import PROGRAMS
from data_gen.programs.base import PromptProgram
from data_gen.programs.flips import DIRECTIONS, RATIOS, SHARES, flips
from data_gen.programs.question import BareProblem
from data_gen.programs.wording import needs
from data_gen.records.solution import Solution

if TYPE_CHECKING:
    from data_gen.programs.kit import Kit

FEEDBACK = (
    "{asked}\n\nA solution:\n{solution}\n\nCheck the solution step by step and say what is wrong with it. If nothing "
    'is wrong, say "No error".'
)
REFINE = (
    "{asked}\n\nA solution:\n{solution}\n\nWhat is said about it:\n{feedback}\n\nWrite the whole solution again and "
    "mend what is wrong."
)


@PROGRAMS.register("self_refine")
class SelfRefine(PromptProgram):
    """`program: {uses: self_refine, rounds: 3}`: the policy drafts, says what is wrong, and writes the solution again.

    The answer is the last draft. A feedback that was cut or left no text ends the run with the note `unread.feedback`:
    nobody has said that the draft is right, or what is wrong with it.
    """

    uses: Literal["self_refine"] = "self_refine"
    rounds: int = Field(3, ge=1)
    """Most rounds of feedback."""
    stop_phrase: str = Field("No error", min_length=1)
    """The run ends with a feedback that says this, in any case."""
    critic: str = "policy"
    """Role of the model that gives the feedback; another one stands in the stage's `models`."""
    feedback_temperature: float | None = Field(None, ge=0)
    """Default: the stage's."""
    feedback: str = FEEDBACK
    """Holds `{question}` or `{asked}`, and `{solution}`."""
    refine: str = REFINE
    """Holds these and `{feedback}`."""

    @model_validator(mode="after")
    def _complete(self) -> SelfRefine:
        needs("feedback", self.feedback, "solution")
        needs("refine", self.refine, "solution", "feedback")
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        """The critic, if it is another model."""
        return () if self.critic == "policy" else (self.critic,)

    @property
    def most_calls(self) -> int:
        """The draft, and a feedback and a refined draft a round."""
        return 1 + 2 * self.rounds

    @property
    def strategy(self) -> str:
        """`self_refine 3`."""
        return f"self_refine {self.rounds}"

    @property
    def stops(self) -> Sequence[int]:
        """Every number of drafts but the last. A run that ended before has its last one."""
        return range(1, self.rounds + 1)

    def directions(self) -> Mapping[str, Direction]:
        """Flips from one draft to the next."""
        return DIRECTIONS

    def shares(self) -> frozenset[str]:
        """The share of last drafts that are right."""
        return SHARES

    def ratios(self) -> Mapping[str, tuple[str, ...]]:
        """The share of right drafts that were lost."""
        return RATIOS

    def measure(self, rows: Sequence[Solution]) -> dict[str, float]:
        """Flips of the run."""
        return flips(rows)

    async def solve(self, problem: BareProblem, kit: Kit) -> list[Solution]:
        """Drafts, in order."""
        [draft] = await kit.at("draft").ask()
        rows = [kit.solution(draft, chain=0, turn=0)]
        for k in range(self.rounds):
            [said] = await kit.at("feedback", k).ask(
                self.feedback, role=self.critic, temperature=self.feedback_temperature, solution=draft.said
            )
            if not (said.whole and said.said):
                kit.note("unread.feedback")
                break
            if self.stop_phrase.lower() in said.said.lower():
                break
            [draft] = await kit.at("refine", k).ask(self.refine, solution=draft.said, feedback=said.said)
            rows.append(kit.solution(draft, chain=0, turn=k + 1))
        return rows
