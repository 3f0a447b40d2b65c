"""What an extractor is: the text of a completion in, the final answer out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from data_gen.registry import Piece


class Extractor(Piece, ABC):
    """Base of all extractors. They travel in a Format (`extract: [boxed, {uses: regex, pattern: ...}]`), so they are
    data: a frozen config and one pure function."""

    @abstractmethod
    def find(self, text: str, answer_mark: str) -> str | None:
        """The final answer, or None where there is none.

        Args:
            text: A whole completion.
            answer_mark: What opens the answer line in the Format.
        """
