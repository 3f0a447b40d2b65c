"""The extractor interface: it takes the text of a completion and returns the final answer."""

from __future__ import annotations

from abc import ABC, abstractmethod

from data_gen.registry import Piece


class Extractor(Piece, ABC):
    """Base of all extractors. They are stored in a Format (`extract: [boxed, {uses: regex, pattern: ...}]`), so they
    are data: a frozen config with one pure function."""

    @abstractmethod
    def find(self, text: str, answer_mark: str) -> str | None:
        """The final answer, or None where there is none.

        Args:
            text: A whole completion.
            answer_mark: What opens the answer line in the Format.
        """
