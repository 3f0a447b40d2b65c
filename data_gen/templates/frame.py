"""What stands around a question in a prompt: learned from a chat template, once, or written by a plain format.

A template is rendered with questions of our own, under limits, and what it writes around them frames every real one. So
no question passes through the template: it cannot be taken for markup, and costs no rendering.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError, excerpt
from data_gen.templates.masks import Masks, Runs
from data_gen.templates.rendering import DATE, MEND, Chat, frozen, render

if TYPE_CHECKING:
    from data_gen.conventions import Format

QUESTION = 'Ana had 12 pens & {lost} <5>.\n\nHow many "are" left, 12 - 5?'
ANSWER = '12 - 5 = 7\nSo {seven} & <no> "more".\n\nAnswer: 7'
PADDING = "\t \t"
"""Stands around a question to see whether the template strips it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`Frame(before=(TextRun("<user>", template=True),), bare=..., after=..., strips=(False, False))`."""

    before: Runs
    """System text and worked examples, up to the question."""
    bare: Runs
    """The same without examples."""
    after: Runs
    """From the question to where the answer begins."""
    strips: tuple[bool, bool] = (False, False)
    """Whether white space is stripped before and behind a question."""

    def stripped(self, question: str) -> str:
        """A question as it stands in the prompt."""
        question = question.lstrip() if self.strips[0] else question
        return question.rstrip() if self.strips[1] else question


def plain_frame(fmt: Format) -> Frame:
    """Examples as text, separated by blank lines. A server's own template writes what follows a question."""
    shape = fmt.model
    shown = [(fmt.task.asked(e.question), e.solution) for e in fmt.task.examples]
    before = "".join(f"{asked}{shape.plain_suffix}{answer}\n\n" for asked, answer in shown)
    after = shape.plain_suffix if shape.template == "plain" else ""
    return Frame(Runs.of_content(before), Runs(), Runs.of_content(after))


def chat_frame(fmt: Format, tokenizer: Any, control: Iterable[str]) -> Frame:
    """What the tokenizer's template writes. `control`: texts of control tokens, which stay text inside the contents.

    Raises:
        UserError: If there is no template, it raises or outlasts its limits, or it changes or drops the question, the
            system text or a worked example.
    """
    masks = Masks(control)
    system = (("system", masks.put(fmt.model.system)),) if fmt.model.system else ()
    shown = [
        (role, masks.put(text))
        for example in fmt.task.examples
        for role, text in (("user", fmt.task.asked(example.question)), ("assistant", example.solution))
    ]
    asked, padded = ("user", QUESTION), ("user", PADDING + QUESTION + PADDING)
    turns = ((*system, *shown, asked), (*system, asked), (*system, padded), (*system, asked))
    whole, bare, wide, again = render(own_template(fmt, tokenizer), tokenizer, *(Chat(each, True) for each in turns))
    if bare != again:
        raise UserError(
            f"The chat template of the tokenizer does not write the same prompt twice. {MEND} {_shown(bare)}"
        )
    _check_contents(whole, (*system, *shown))
    before, after = _around(whole, QUESTION)
    begun, _ = _around(bare, QUESTION)
    left, right = _around(wide, QUESTION)
    strips = (left != begun + PADDING, right != PADDING + after)
    return Frame(masks.runs(before), masks.runs(begun), masks.runs(after), strips)


@dataclass(frozen=True, slots=True)
class Turns:
    """What a template writes around turns: `Turns(opening="<user>", replying="<assistant>", end="</s>",
    between="</s><user>")`."""

    opening: str
    """Before the first question."""
    replying: str
    """Between a question and an answer that was given before."""
    end: str
    """Behind the last answer."""
    between: str
    """Between an answer and the next question."""


def learned_turns(fmt: Format, tokenizer: Any) -> Turns:
    """Rendered turns of the tokenizer's template. UserError as for `chat_frame`."""
    asked, answered = ("user", QUESTION), ("assistant", ANSWER)
    chats = Chat((asked, answered), False), Chat((("user", "2 + 2?"), answered, asked), False)
    once, twice = render(own_template(fmt, tokenizer), tokenizer, *chats)
    for text in (once, twice):
        if text.count(ANSWER) != 1:
            raise UserError(
                "The chat template of the tokenizer changes or drops what the assistant says, so what ends its turn "
                f"cannot be learned. {MEND} {_shown(text)}"
            )
    opening, behind = _around(once, QUESTION)
    replying, _, end = behind.partition(ANSWER)
    return Turns(opening, replying, end, _around(twice, QUESTION)[0].partition(ANSWER)[2])


def own_template(fmt: Format, tokenizer: Any) -> str:
    """The template that writes a policy's prompts: the tokenizer's own, at the Format's date."""
    return frozen(base_template(tokenizer), fmt.model.date or DATE)


def base_template(tokenizer: Any) -> str:
    """The tokenizer's own template. UserError if there is none, or several without a default."""
    try:
        return str(tokenizer.get_chat_template())
    except ValueError:
        named = tokenizer.chat_template
        there = f"only templates named {', '.join(sorted(named))}" if isinstance(named, dict) else "no chat template"
        raise UserError(
            f"format.template is 'chat', and the tokenizer brings {there}. Say `template: plain`, or give it one "
            "(chat_template.jinja)."
        ) from None


def _check_contents(text: str, turns: Sequence[tuple[str, str]]) -> None:
    """UserError unless system text and examples stand in a prompt as they were given, in their order."""
    at = 0
    for role, content in turns:
        found = text.find(content.strip(), at)
        if found < 0:
            what = {
                "system": "the system text (`format.system`)",
                "user": "the question of a worked example",
                "assistant": "the solution of a worked example, such as its thinking",
            }[role]
            raise UserError(
                f"The chat template of the tokenizer changes or drops {what}: {excerpt(content)} does not stand in the "
                f"prompt that it writes. Leave it out (`format.system`, `task.format.examples`), put it into "
                f"`task.format.prompt`, or say `format: {{template: plain}}`. {_shown(text)}"
            )
        at = found + len(content.strip())


def _around(text: str, question: str) -> tuple[str, str]:
    if text.count(question) != 1:
        raise UserError(
            f"The chat template of the tokenizer changes, drops or repeats the question: {excerpt(question)} stands "
            f"{text.count(question)} times in the prompt that it writes. {MEND} {_shown(text)}"
        )
    before, _, after = text.partition(question)
    return before, after


def _shown(text: str) -> str:
    return f"The prompt: {excerpt(text)}."
