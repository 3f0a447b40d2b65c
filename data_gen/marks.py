"""How kinds of segments are marked in text, and how a text is read by these marks.

marks:
  think: {open: "<think>", close: "</think>"}
  observation: {open: "```output\\n", close: "```\\n"}
  plan: {prefix: "Plan: "}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, model_validator

from data_gen.records.segment import Kind


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Mark(_Config):
    """How one kind is marked: a span from `open` to `close`, such as `Mark(open="<think>", close="</think>")`; `open`
    alone, such as `Mark(open="[short]")`; or a line that begins with `prefix`, such as `Mark(prefix="Plan: ")`."""

    open: str = ""
    close: str = ""
    """Text that ends the span and belongs to it. Empty: the span is `open` alone."""
    prefix: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Mark:
        if bool(self.open.strip()) == bool(self.prefix.strip()) or (self.close and not self.open):
            raise ValueError(
                f"expected either `open` (with `close` for a span) or `prefix` (for a line), got open={self.open!r}, "
                f"close={self.close!r}, prefix={self.prefix!r}"
            )
        return self


class Marks(_Config):
    """Marks of each kind. Steps, the answer and the end have theirs in `step_delimiter`, `answer_mark` and `ends`."""

    plan: Mark | None = None
    think: Mark | None = None
    action: Mark | None = None
    observation: Mark | None = None
    """Output of tools."""
    code: Mark | None = None
    control: Mark | None = None

    def __bool__(self) -> bool:
        """Whether any kind has a mark."""
        return any(mark is not None for _, mark in self)

    def spans(self) -> list[tuple[Kind, Mark]]:
        """Marks with an `open`, longest first, so that a mark is tried before its own prefixes."""
        found = [(Kind(name), mark) for name, mark in self if mark is not None and mark.open]
        return sorted(found, key=lambda entry: -len(entry[1].open))

    def opened_by(self, prompt: str) -> tuple[Kind, Mark] | None:
        """The span that a prompt opens and leaves open, as templates of reasoning models write `<think>` themselves."""
        spans = ((prompt.rfind(mark.open), kind, mark) for kind, mark in self.spans() if mark.close)
        left = [(at, kind, mark) for at, kind, mark in spans if at >= 0 and prompt.rfind(mark.close) < at]
        return max(left, key=lambda entry: entry[0])[1:] if left else None

    def prefixes(self) -> list[tuple[Kind, Mark]]:
        """Marks with a `prefix`, longest first."""
        found = [(Kind(name), mark) for name, mark in self if mark is not None and mark.prefix]
        return sorted(found, key=lambda entry: -len(entry[1].prefix))


def read_spans(
    text: str, marks: Marks, delimiter: str, answer_mark: str, opened: tuple[Kind, Mark] | None = None
) -> Iterator[tuple[Kind, int]]:
    """(kind, end) of every span of a text, in order and without gaps.

    Blank lines belong to the span that follows. A span that is not closed runs to the end of the text. `opened`: the
    span in which the text begins.

    >>> marks = Marks(think=Mark(open="<t>", close="</t>"))
    >>> list(read_spans("<t>9?\\nno</t>1 + 1 = 2\\nAnswer: 2", marks, "\\n", "Answer:"))
    [(<Kind.THINK: 'think'>, 12), (<Kind.STEP: 'step'>, 22), (<Kind.ANSWER: 'answer'>, 31)]
    """
    at = 0
    if opened is not None and text:
        at = _close(text, 0, opened[1])
        yield opened[0], at
    while at < len(text):
        begin = len(text) - len(text[at:].lstrip())
        found = next((entry for entry in marks.spans() if text.startswith(entry[1].open, begin)), None)
        if found is not None:
            kind, at = found[0], _close(text, begin + len(found[1].open), found[1])
        else:
            at = _line_end(text, begin, marks, delimiter)
            kind = _line_kind(text[begin:at], marks, answer_mark)
        yield kind, at


def _close(text: str, inside: int, mark: Mark) -> int:
    """Where the span ends whose `open` ends at `inside`."""
    close = text.find(mark.close, inside)
    return len(text) if close < 0 else close + len(mark.close)


def _line_end(text: str, begin: int, marks: Marks, delimiter: str) -> int:
    """Where a step ends: at its delimiter, or earlier where a marked span begins."""
    found = text.find(delimiter, begin)
    end = len(text) if found < 0 else found + len(delimiter)
    opens = (text.find(mark.open, begin, end + len(mark.open) - 1) for _, mark in marks.spans())
    return min([end, *(place for place in opens if place > begin)])


def _line_kind(line: str, marks: Marks, answer_mark: str) -> Kind:
    for kind, mark in marks.prefixes():
        if line.startswith(mark.prefix):
            return kind
    return Kind.ANSWER if answer_mark in line else Kind.STEP


_USUAL = Mark(open="<think>", close="</think>")
"""How thoughts are marked where a Format does not say."""


def without_thoughts(text: str, think: Mark | None = None) -> str:
    """The text outside its thoughts.

    A prompt may have opened them, so that only their end is in the text; then everything before it is thought. Thoughts
    that never end run to the end of the text.

    >>> [without_thoughts(text) for text in ("<think>12?</think>It is 7.", "12?</think>It is 7.", "7<think>12?")]
    ['It is 7.', 'It is 7.', '7']
    """
    mark = think if think is not None and think.close else _USUAL
    kept, at, inside = list[str](), 0, False
    for found in re.finditer(f"({re.escape(mark.open)})|{re.escape(mark.close)}", text):
        if found[1] and not inside:
            kept.append(text[at : found.start()])
        elif not found[1]:
            kept, at = kept if inside else [], found.end()
        inside = found[1] is not None
    return "".join(kept if inside else [*kept, text[at:]])
