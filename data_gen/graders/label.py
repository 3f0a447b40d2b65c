"""`label`: one of a few labels, with which an answer begins."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.grading.clean import folded, plain
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade


@GRADERS.register("label")
class Label(Grader):
    """`grader: {uses: label, labels: {Correct: [], Incorrect: [], Unknown: []}, alike: [[Incorrect, Unknown]]}`: an
    answer counts as the label with which it begins, whatever follows and in either case. An answer that begins with no
    label is wrong."""

    version: ClassVar[int] = 1
    forms_decide: ClassVar[bool] = True
    uses: Literal["label"] = "label"
    labels: dict[str, tuple[str, ...]] = Field({"yes": (), "no": ()}, min_length=2)
    """Label of gold -> further words for it, such as `T: [true, right]`."""
    alike: tuple[tuple[str, ...], ...] = ()
    """Labels that count as one, e.g. where everything but one label is a no."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        named = [label for group in self.alike for label in group]
        if strange := [label for label in named if label not in self.labels]:
            raise ValueError(f"alike: {strange[0]!r} is none of the labels {', '.join(self.labels)}")
        if len(set(named)) != len(named):
            raise ValueError("alike: a label stands in two groups. Write one group of all labels that are alike")
        words = [word.strip().casefold() for label, more in self.labels.items() for word in (label, *more)]
        if "" in words or len(set(words)) != len(words):
            raise ValueError("labels: expected words that are not empty and stand for one label each")
        return self

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """Its class, or its words."""
        return self._class(answer) or folded(answer)

    def reads(self, gold: str) -> bool:
        """A label alone."""
        return gold.strip() in self.labels

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `label`, or WRONG `no_label`."""
        said = self._class(answer)
        return decided(said == self._class(gold), "label" if said else "no_label")

    def _class(self, text: str) -> tuple[str, ...]:
        """The labels that count as the one with which a text begins. Empty if there is none."""
        said = plain(text).lstrip("\"'([*").casefold()
        words = [(word.casefold(), label) for label, more in self.labels.items() for word in (label, *more)]
        found = [(len(word), label) for word, label in words if _begins(said, word)]
        if not found:
            return ()
        label = max(found)[1]
        return next((group for group in self.alike if label in group), (label,))


def _begins(text: str, word: str) -> bool:
    """Whether a text begins with a word. Letters of an alphabet may not follow it."""
    after = text[len(word) : len(word) + 1]
    goes_on = after.isascii() and after.isalnum() and word[-1:].isascii()
    return text.startswith(word) and not goes_on
