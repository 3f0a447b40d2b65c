"""Questions that show the beginning of their worked solution (CHAMP's partial solutions, arXiv 2401.06961)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field


class Begun(BaseModel):
    """`begun: {share: 0.333}`: a third of the worked steps stands below the question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(gt=0, lt=1)
    """Share of the steps, rounded to whole steps. The last one is never shown."""
    heading: str = "The solution begins:"

    def parted(self, question: str, steps: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """The question with its first steps, and the steps that are left.

        >>> Begun(share=0.5).parted("1 + 1 + 1 + 1?", ["1 + 1 = 2", "2 + 1 = 3", "3 + 1 = 4"])[1]
        ('3 + 1 = 4',)
        """
        n = min(round(self.share * len(steps)), len(steps) - 1)
        if n < 1:
            return question, tuple(steps)
        return "\n".join([question, "", self.heading, *steps[:n]]), tuple(steps[n:])
