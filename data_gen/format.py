"""Text conventions, written once: a Format bound to a tokenizer.

`StepCodec` makes the ids of prompts, and converts text to typed segments of token ids and back. conventions.py has what
a Format says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from data_gen.conventions import Example, Format, ModelFormat, TaskFormat
from data_gen.errors import UserError
from data_gen.pieces import text_behind, texts_of
from data_gen.prompts import Prompts, find_ends
from data_gen.records.calls import Turn
from data_gen.records.segment import Kind, Segment, said
from data_gen.segmenter import Segmenter

__all__ = ["Example", "Format", "ModelFormat", "StepCodec", "TaskFormat"]


class StepCodec:
    """A Format bound to a tokenizer. Its `format` says how prompts are made (see `Format.resolved`).

    What ends a solution is what ends the assistant's turn in the chat template, else the tokenizer's eos token; more
    tokens may end one, too. A tokenizer without an eos token gets this end as its own.

    Args:
        tokenizer: A fast tokenizer of transformers.
        more_ends: Ids that end a solution besides, such as those of a generation config.
    """

    def __init__(self, fmt: Format, tokenizer: Any, more_ends: Iterable[int] = ()) -> None:
        fmt = fmt.resolved(tokenizer)
        self.format, self.tokenizer = fmt, tokenizer
        ends = find_ends(fmt, tokenizer, tuple(more_ends))
        self.end_id, self.end_ids = ends.own, ends.all
        self.prompts = Prompts(fmt, tokenizer, ends)
        task = fmt.task
        opened = task.marks.opened_by(self.prompts.frame.after.text)
        self._segmenter = Segmenter(self.decode, task.step_delimiter, task.answer_mark.strip(), task.marks, opened)
        self._check_marks()

    def _check_marks(self) -> None:
        """UserError for a mark that the tokenizer does not decode unchanged: no span would ever be found."""
        for name, mark in self.format.task.marks:
            for field, text in mark or ():
                found = self.decode(self.tokenizer(text, add_special_tokens=False)["input_ids"])
                if text.strip() not in found:
                    raise UserError(
                        f"format.marks.{name}.{field}: {text!r} becomes {found!r} in this tokenizer, so it would "
                        "mark nothing. Choose a mark that the tokenizer's vocabulary has and that is not a "
                        "special token."
                    )

    def prompt_text(self, question: str) -> str:
        """The prompt as the model sees it."""
        return self.prompts.text(question)

    def prompt_ids(self, question: str) -> list[int]:
        """Token ids of the prompt. Training and sampling use the same ids. UserError if the tokenizer takes a control
        token that the question spells for the token."""
        return self.prompts.ids(question)

    def ids_to_answer(self, body: str) -> list[int]:
        """Token ids of any text put to the model under its template, up to where the answer begins, without
        examples."""
        return self.prompts.ids_to_answer(body)

    def turns_text(self, turns: Sequence[Turn]) -> str:
        """The text of `turns_ids`."""
        return self.prompts.text_of_turns(turns)

    def turns_ids(self, turns: Sequence[Turn]) -> list[int]:
        """Token ids of a conversation, without examples, up to where the next answer begins. UserError if its roles do
        not alternate."""
        return self.prompts.ids_of_turns(turns)

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids of an already rendered prompt (`prompt_text`)."""
        return self.prompts.ids_of_rendered(prompt)

    def encode(self, segments: Sequence[Segment], *, end: bool) -> tuple[Segment, ...]:
        """The segments of a completion with their token ids. The text is tokenised in one pass and cut by offsets.

        A token that straddles two segments belongs to the earlier one and takes its weight: a step owns the whole token
        that completes its delimiter. `end` appends the stop token: true for a whole solution, false for a single step.
        """
        whole = "".join(segment.text for segment in segments)
        ids, offsets = self.prompts.control.encode_text(whole)
        starts = _starts(offsets)
        found, at, char = [], 0, 0
        for segment in segments:
            char += len(segment.text)
            stop = at
            while stop < len(ids) and starts[stop] < char:
                stop += 1
            found.append(replace(segment, token_ids=tuple(ids[at:stop])))
            at = stop
        if end:
            found.append(Segment(kind=Kind.END, text="", token_ids=(self.end_id,)))
        return tuple(found)

    def split(self, token_ids: Sequence[int], thought: int = 0) -> tuple[Segment, ...]:
        """Typed segments of sampled ids: steps by delimiter, spans by the marks of their kinds, the answer line by its
        mark, then the end. The last step may be unfinished. `thought`: how many leading ids are a thought without
        marks (`Sample.thought`)."""
        ids = tuple(token_ids)
        ended = bool(ids) and ids[-1] in self.end_ids
        body = ids[:-1] if ended else ids
        pieces = [(Kind.THINK, body[:thought])] * bool(thought) + list(self._segmenter.pieces(body[thought:]))
        texts = texts_of(self.decode, [piece for _, piece in pieces])
        segments = [
            Segment(kind=kind, text=text, token_ids=piece) for (kind, piece), text in zip(pieces, texts, strict=True)
        ]
        if segments and self._only_ends(segments[-1].text):
            segments[-1] = Segment(kind=Kind.END, text=segments[-1].text, token_ids=segments[-1].token_ids)
        if ended:
            segments.append(Segment(kind=Kind.END, text="", token_ids=(ids[-1],)))
        return tuple(segments)

    def steps(self, token_ids: Sequence[int], before: Sequence[int] = ()) -> list[tuple[Segment, ...]]:
        """The segments of sampled ids, grouped by step of the policy; a tree holds one group per node. What the policy
        did not write is grouped with the step that follows it, and the end with the step that it ends.

        `before`: the ids in front of them, which end where a step ends. They matter because a mark may have begun in
        their last token.
        """
        groups: list[tuple[Segment, ...]] = []
        for segment in self._behind(before, token_ids) if self.format.task.marks else self.split(token_ids):
            waiting = bool(groups) and not groups[-1][-1].kind.own
            if groups and (waiting or segment.kind is Kind.END):
                groups[-1] = (*groups[-1], segment)
            else:
                groups.append((segment,))
        return groups

    def _behind(self, before: Sequence[int], token_ids: Sequence[int]) -> Iterator[Segment]:
        """The segments of `token_ids`, read after the ids `before`."""
        skipped = len(before)
        for segment in self.split((*before, *token_ids)):
            own = segment.token_ids[skipped:]
            skipped = max(0, skipped - len(segment.token_ids))
            if own:
                whole = own == segment.token_ids
                yield segment if whole else replace(segment, token_ids=own, text=self.text_behind(before, own))

    def complete(self, token_ids: Sequence[int]) -> bool:
        """Whether a step of the policy ends with these ids. They begin where a step begins; if spans are marked, where
        the completion begins."""
        return token_ids[-1] in self.end_ids or self._segmenter.complete(token_ids)

    def is_answer(self, text: str) -> bool:
        """Whether a line is the answer line. If spans are marked, the text before the line decides: see `split`."""
        return self._segmenter.is_answer(text)

    def answer(self, token_ids: Sequence[int], thought: int = 0) -> str | None:
        """The final answer of a completion. It is read from what the policy said, neither from its thoughts nor from
        tool outputs. `thought`: as for `split`."""
        if not self.format.task.marks and not thought:
            return self.format.extract_answer(self.decode(token_ids))
        return self.format.extract_answer(said(self.split(token_ids, thought)))

    def _only_ends(self, text: str) -> bool:
        return not text.strip() and any(end in text for end in self.format.task.ends)

    def text_behind(self, before: Sequence[int], ids: Sequence[int]) -> str:
        """The text that `ids` add to the text of the ids `before`, such as a step's behind the steps above it."""
        return text_behind(self.decode, before, ids)

    def reads(self, ids: Sequence[int], text: str) -> bool:
        """Whether ids have this text, at the start of a completion or in the middle of one: some tokenizers leave out
        the space at the start."""
        return self.decode(ids) == text or self.text_behind(ids[:1], ids) == text

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids without special tokens. Spaces are kept."""
        # The fast tokenizer underneath: the wrapper loops over every id in Python first.
        return self.tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=True)


def _starts(offsets: Sequence[tuple[int, int]]) -> list[int]:
    """First character of every token. Some tokenizers report it without the leading space, so each token begins where
    the last one ended."""
    ends = [0, *(end for _, end in offsets)]
    return [min(begin, ends[i]) for i, (begin, _) in enumerate(offsets)]
