"""Splits token ids of a completion into pieces of one kind: steps, marked spans and the answer line.

A piece ends with the first token whose decoded text completes its delimiter or mark, and it owns that whole token. A
span that begins in the middle of a line ends the step before it. A token in which both stand belongs to the step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from data_gen.marks import Mark, Marks, read_spans
from data_gen.records.segment import Kind

Ids = Sequence[int]
AHEAD = "\0"
"""Stands for any text that may follow: a text is complete if this begins a span of its own."""


class Segmenter:
    """`Segmenter(decode, delimiter="\\n", answer_mark="Answer:", marks=Marks()).pieces(ids)`."""

    def __init__(
        self,
        decode: Callable[[Ids], str],
        delimiter: str,
        answer_mark: str,
        marks: Marks,
        opened: tuple[Kind, Mark] | None = None,
    ) -> None:
        self._decode, self._delimiter, self._answer, self._marks = decode, delimiter, answer_mark, marks
        self._opened = opened
        self._texts: dict[int, str] = {}

    def pieces(self, ids: Ids) -> Iterator[tuple[Kind, tuple[int, ...]]]:
        """Kind and ids of every piece, in order. Together the pieces hold all ids."""
        return self._by_spans(ids) if self._marks else self._by_lines(ids)

    def complete(self, ids: Ids) -> bool:
        """Whether whatever follows these ids belongs to another piece. The ids begin where a piece begins; if spans are
        marked, where the completion begins. After a piece that the policy did not write, its step is still to come."""
        if not self._marks:
            return self._line_is_complete(ids)
        text = self._decode(ids)
        ends = {end: kind for kind, end in self._read(text + AHEAD)}
        return len(text) in ends and ends[len(text)].own

    def is_answer(self, text: str) -> bool:
        """Whether a line is the answer line."""
        return self._answer in text

    def _read(self, text: str) -> Iterator[tuple[Kind, int]]:
        return read_spans(text, self._marks, self._delimiter, self._answer, self._opened)

    def _by_spans(self, ids: Ids) -> Iterator[tuple[Kind, tuple[int, ...]]]:
        text, start, kind = self._decode(ids), 0, Kind.STEP
        for kind, end in self._read(text):
            stop = len(ids) if end == len(text) else self._covering(ids, start, text[:end])
            if stop > start:  # else a token of the piece before holds all of it
                yield kind, tuple(ids[start:stop])
                start = stop
        if start < len(ids):  # special tokens, which have no text
            yield kind, tuple(ids[start:])

    def _covering(self, ids: Ids, start: int, text: str) -> int:
        """The fewest tokens, counted from the first, whose text begins with `text`; at least `start`."""
        return bisect_left(range(len(ids) + 1), True, lo=start, key=lambda n: self._decode(ids[:n]).startswith(text))

    def _by_lines(self, ids: Ids) -> Iterator[tuple[Kind, tuple[int, ...]]]:
        start = 0
        while start < len(ids):
            end = self._end_of_line(ids, start)
            piece = tuple(ids[start:end])
            yield Kind.ANSWER if self.is_answer(self._decode(piece)) else Kind.STEP, piece
            start = end

    def _end_of_line(self, ids: Ids, start: int) -> int:
        """One past the first token that completes a delimiter, or one past the last token. A longer piece contains
        every delimiter of a shorter one, so doubling and bisection find it without decoding every prefix; what the
        tokens say one by one shows where to look first."""
        likely = self._likely_end(ids, start)
        ends = likely == len(ids) or self._line_is_complete(ids[start:likely])
        if ends and not self._line_is_complete(ids[start : likely - 1]):
            return likely
        low, high = 0, 1  # the first `low` tokens complete none
        while not self._line_is_complete(ids[start : start + high]):
            if start + high >= len(ids):
                return len(ids)
            low, high = high, min(2 * high, len(ids) - start)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._line_is_complete(ids[start : start + middle]) else (middle, high)
        return start + high

    def _likely_end(self, ids: Ids, start: int) -> int:
        """Where the line would end if tokens had the text that they have alone."""
        kept, text = len(self._delimiter) - 1, ""  # of the text, only what a delimiter may have begun in
        begun = False
        for end in range(start, len(ids)):
            piece = self._alone(ids[end]) if begun else self._alone(ids[end]).lstrip()
            begun = begun or bool(piece)
            text += piece
            if self._delimiter in text:
                return end + 1
            text = text[len(text) - kept :] if len(text) > kept else text
        return len(ids)

    def _alone(self, token: int) -> str:
        """A token's own text, remembered: there are at most as many as the vocabulary has."""
        if token not in self._texts:
            self._texts[token] = self._decode((token,))
        return self._texts[token]

    def _line_is_complete(self, ids: Ids) -> bool:
        # Leading blank lines belong to the step that follows: a step of white space only is no step.
        return self._delimiter in self._decode(ids).lstrip()
