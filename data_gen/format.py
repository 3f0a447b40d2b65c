"""Text conventions, written once: how a question becomes a prompt, how steps and the answer are marked, what ends a
solution.

`Format` is stored in manifests and checkpoints. Trainers, searches, scorers and graders read it from there and have no
default of their own. `StepCodec` binds it to a tokenizer and converts text to typed segments of token ids and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from data_gen.errors import UserError
from data_gen.extractors import EXTRACTORS, Extractor
from data_gen.extractors.mark import AnswerMark
from data_gen.marks import Marks
from data_gen.pieces import text_behind, texts_of
from data_gen.prompts import Prompts, find_ends
from data_gen.records.segment import Kind, Segment, said
from data_gen.registry import Part
from data_gen.segmenter import Segmenter

if TYPE_CHECKING:
    AnyExtractor = Extractor
else:
    AnyExtractor = EXTRACTORS.union()


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Example(_Part):
    """A worked example in the prompt: `Example(question="Tom had 3 pens and lost 1. How many are left?", solution="3 -
    1 = 2.")`."""

    question: str
    solution: str


class TaskFormat(Part):
    """The half that policy and verifier must share."""

    prompt: str = "{question}"
    """Template of the question. `{question}` is replaced, nothing else is."""
    examples: tuple[Example, ...] = ()
    """Worked examples before every question: turns of a chat, else text separated by blank lines."""
    step_delimiter: str = Field(default="\n", min_length=1)
    """Ends every step. A step's last token is the first one whose decoded text completes the delimiter."""
    answer_mark: str = Field(default="Answer: ", min_length=1)
    """Opens the final answer, which runs to the end of its line."""
    extract: tuple[AnyExtractor, ...] = Field(default=(AnswerMark(),), min_length=1)
    """Ways to find the answer, tried in order: `[boxed, last_number, {uses: regex, pattern: "#### (.*)"}]`."""
    marks: Marks = Marks()
    """How thoughts, plans, actions, code and outputs of tools are marked, such as `{think: {open: "<think>", close:
    "</think>"}}`. Everything else is steps and the answer."""
    ends: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end a solution, besides the end token. A base model needs one, or it goes on to write the next
    question."""

    def extract_answer(self, text: str) -> str | None:
        """The final answer in a completion. None if no extractor of `extract` finds one."""
        return next((found for way in self.extract if (found := way.find(text, self.answer_mark))), None)


class ModelFormat(Part):
    """The half that belongs to one model: template, system text, and what follows a plain prompt."""

    template: Literal["auto", "plain", "chat", "server"] = "plain"
    """`chat`: the tokenizer's chat template. `auto`: `chat` if the tokenizer brings one, else `plain`; stage `model`
    decides, and takes it where a recipe does not say. `server`: prompts go to a server's chat endpoint, which applies
    its own template."""
    date: str = Field("", pattern=r"^(\d{4}-\d{2}-\d{2})?$")
    """The date that a chat template is told which reads the clock, such as `2026-11-30`. Filled in where a template may
    do so, so that it is part of the key."""
    system: str = ""
    """The system text of a chat."""
    plain_suffix: str = "\n"
    """Stands between a plain prompt and its completion."""
    step_token: str = ""
    """A verifier with a step token reads it in place of every step's delimiter, and its values stand there
    (Qwen2.5-Math-PRM: `<extra_0>`)."""

    @field_validator("date")
    @classmethod
    def _a_day(cls, text: str) -> str:
        if text:
            date.fromisoformat(text)
        return text


class Format(_Part):
    """Both halves: `Format(task=TaskFormat(answer_mark="Answer: "), model=ModelFormat(template="chat"))`."""

    task: TaskFormat = TaskFormat()
    model: ModelFormat = ModelFormat()

    def check_same_task(self, other: Format, here: str, there: str) -> None:
        """UserError if the task halves of two formats differ; it names the first differing field."""
        for name in TaskFormat.model_fields:
            mine, theirs = getattr(self.task, name), getattr(other.task, name)
            if mine != theirs:
                raise UserError(
                    f"Format mismatch: {here} has {name}={mine!r}, {there} has {name}={theirs!r}. "
                    "Both must come from one task; give them the same `format:`."
                )

    def resolved(self, tokenizer: Any) -> Format:
        """The same with `template: auto` decided for a tokenizer."""
        if self.model.template != "auto":
            return self
        template = "chat" if tokenizer.chat_template else "plain"
        return self.model_copy(update={"model": self.model.model_copy(update={"template": template})})

    def extract_answer(self, text: str) -> str | None:
        """`TaskFormat.extract_answer`."""
        return self.task.extract_answer(text)


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
        self._prompts = Prompts(fmt, tokenizer, ends)
        task = fmt.task
        self._segmenter = Segmenter(self.decode, task.step_delimiter, task.answer_mark.strip(), task.marks)
        self._check_marks()

    def _check_marks(self) -> None:
        """UserError for a mark that the tokenizer does not decode unchanged: no span would ever be found."""
        for name, mark in self.format.task.marks:
            for field, text in mark or ():
                found = self.decode(self.tokenizer(text, add_special_tokens=False)["input_ids"])
                if text.strip() not in found:
                    raise UserError(
                        f"format.marks.{name}.{field}: {text!r} becomes {found!r} in this tokenizer, so that it would "
                        "mark nothing. Choose a mark that is made of its vocabulary and is no special token."
                    )

    def prompt_text(self, question: str) -> str:
        """The prompt as the model sees it."""
        return self._prompts.text(question)

    def prompt_ids(self, question: str) -> list[int]:
        """Token ids of the prompt. Training and sampling use the same ids. UserError if the tokenizer takes a control
        token that the question spells for the token."""
        return self._prompts.ids(question)

    def ids_to_answer(self, body: str) -> list[int]:
        """Token ids of any text put to the model under its template, up to where the answer begins, without
        examples."""
        return self._prompts.ids_to_answer(body)

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids of an already rendered prompt (`prompt_text`)."""
        return self._prompts.ids_of_rendered(prompt)

    def encode(self, segments: Sequence[Segment], *, end: bool) -> tuple[Segment, ...]:
        """The segments of a completion with their token ids. The text is tokenised in one pass and cut by offsets.

        A token that straddles two segments belongs to the earlier one and takes its weight: a step owns the whole token
        that completes its delimiter. `end` appends the stop token: true for a whole solution, false for a single step.
        """
        whole = "".join(segment.text for segment in segments)
        ids, offsets = self._prompts.control.encode_text(whole)
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
        """Whether a step of the policy ends with these ids. They begin where a step begins."""
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
