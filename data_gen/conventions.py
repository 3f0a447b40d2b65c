"""What a Format says: how a question becomes a prompt, how steps and the answer are marked, what ends a solution.

It is stored in manifests and checkpoints. Trainers, searches, scorers and graders read it from there and have no
default of their own.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from data_gen.errors import UserError
from data_gen.extractors import EXTRACTORS, Extractor
from data_gen.extractors.mark import AnswerMark
from data_gen.marks import Marks, without_thoughts
from data_gen.registry import Part

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

    version: ClassVar[int] = 2

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

    def asked(self, question: str) -> str:
        """A question as `prompt` puts it."""
        return self.prompt.replace("{question}", question)

    def extract_answer(self, text: str) -> str | None:
        """The final answer in a completion, read outside its thoughts. None if no extractor of `extract` finds one."""
        text = without_thoughts(text, self.marks.think)
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
