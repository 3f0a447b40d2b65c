"""Where a continuation ends: end ids, and stop strings matched on token ids.

Decoding every tail after every token would cost more than a small model's step. Only a token whose own text contains a
stop string, or begins with one of its endings, can complete it. A table over the vocabulary marks these tokens, and
only their tails are decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

GO_ON, END, MAYBE = 0, 1, 2
"""What a sampled token means for its row: nothing, an end id, or a check of the decoded tail."""


class StopTable:
    """Marks of every token under every set of stop strings in use: `marks[set, id]`, uint8."""

    def __init__(self, tokenizer: Any, vocab: int, end_ids: Iterable[int]) -> None:
        self._tokenizer, self._vocab = tokenizer, vocab
        self._texts: list[str] = []
        self._sets: dict[tuple[str, ...], int] = {(): 0}
        self.marks = np.zeros((1, vocab), np.uint8)
        self.marks[0, list(end_ids)] = END

    def index(self, stop: tuple[str, ...]) -> int:
        """The row of `marks` for these stop strings, made on first use (the vocabulary is decoded once)."""
        if stop not in self._sets:
            self._texts = self._texts or self._decode_vocabulary()
            row = self.marks[0].copy()
            row[[i for i, text in enumerate(self._texts) if row[i] != END and _may_complete(text, stop)]] = MAYBE
            self.marks = np.vstack([self.marks, row])
            self._sets[stop] = len(self.marks) - 1
        return self._sets[stop]

    def completes(self, ids: Sequence[int], stop: tuple[str, ...]) -> bool:
        """Whether the last of `ids` completes a stop string. The caller has checked after every earlier marked
        token."""
        # A token holds one byte at least; one more on the left, because decoders strip the first token's leading space.
        window = max(len(s.encode()) for s in stop) + 1
        text = self._decode(ids[-window:])
        return any(s in text for s in stop)

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def _decode_vocabulary(self) -> list[str]:
        """Each token's text in mid-sentence. It is decoded after itself, since decoders strip a leading space at the
        start.

        Ids beyond the tokenizer (padding of the embedding) have no text.
        """
        known = range(min(self._vocab, len(self._tokenizer)))
        return [self._decode([i, i])[len(self._decode([i])) :] for i in known]


def _may_complete(text: str, stop: tuple[str, ...]) -> bool:
    if "\ufffd" in text:  # a part of a character: only the decoded tail can tell
        return True
    return any(s in text or any(text.startswith(s[i:]) for i in range(1, len(s))) for s in stop)
