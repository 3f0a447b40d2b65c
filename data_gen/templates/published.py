"""The chat template that a published policy carries: other programs that ask it through this ask what was trained.

It takes the bare question as the user's message, and writes the whole prompt around it: bos, system text, worked
examples, the task's `prompt`, and what stands between question and answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_gen.control_tokens import token_text
from data_gen.templates.frame import QUESTION, own_template
from data_gen.templates.rendering import Chat, quoted, render

if TYPE_CHECKING:
    from data_gen.conventions import Format
    from data_gen.format import StepCodec

PROBES = (QUESTION, "7")


def published_template(codec: StepCodec) -> str | None:
    """A template that gives the codec's own prompts, ids and all, for questions without control tokens. None if no
    template can, such as for worked examples that spell control tokens, or where a server writes the prompt."""
    if codec.format.model.template == "chat":
        template = _asking(codec.format) + own_template(codec.format, codec.tokenizer)
        texts = render(template, codec.tokenizer, *(Chat((("user", probe),), True) for probe in PROBES))
        return template if _gives(codec, texts) else None
    if codec.format.model.template != "plain":
        return None
    bos = "".join(token_text(codec.tokenizer, token) for token in codec.prompts.in_front)
    # A tokenizer that marks the start of a text with a space does not do so behind a token that is written out.
    for start in (bos, bos + " ")[: 2 if bos else 1]:
        if _gives(codec, [start + codec.prompt_text(probe) for probe in PROBES]):
            return _plain(codec, start)
    return None


def _gives(codec: StepCodec, texts: list[str]) -> bool:
    """Whether texts, tokenised as other programs do, are the prompts of the probes."""
    found = [codec.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return found == [codec.prompt_ids(probe) for probe in PROBES]


def _plain(codec: StepCodec, start: str) -> str:
    """Text without roles. A chat that goes on is written as worked examples are."""
    shape, shown = codec.format.model, codec.prompts.frame.before.text
    end = quoted(token_text(codec.tokenizer, codec.end_id))
    return (
        f"{{{{ {quoted(start)} }}}}"
        "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\\n\\n' }}{% endif %}"
        f"{{{{ {quoted(shown)} }}}}"
        "{% for message in messages %}{% if message['role'] == 'user' %}"
        f"{{{{ {_asked(codec.format)} }}}}"
        f"{{% if add_generation_prompt or not loop.last %}}{{{{ {quoted(shape.plain_suffix)} }}}}{{% endif %}}"
        "{% elif message['role'] == 'assistant' %}"
        f"{{{{ message['content'] + ({end} if loop.last else '\\n\\n') }}}}"
        "{% endif %}{% endfor %}"
    )


def _asking(fmt: Format) -> str:
    """What makes our turns of the messages, in front of the model's own template. Empty if they are the same."""
    shown = "".join(
        f"{{'role': 'user', 'content': {quoted(fmt.task.asked(example.question))}}}, "
        f"{{'role': 'assistant', 'content': {quoted(example.solution)}}}, "
        for example in fmt.task.examples
    )
    if not (shown or fmt.model.system or fmt.task.prompt != "{question}"):
        return ""
    system = f"[{{'role': 'system', 'content': {quoted(fmt.model.system)}}}]" if fmt.model.system else "[]"
    return (
        "{% set has_system = messages[0]['role'] == 'system' %}"
        f"{{% set trained = namespace(turns=(messages[:1] if has_system else {system}) + [{shown}]) %}}"
        "{% for message in (messages[1:] if has_system else messages) %}"
        "{% if message['role'] == 'user' and message['content'] is string %}"
        f"{{% set message = {{'role': 'user', 'content': {_asked(fmt)}}} %}}{{% endif %}}"
        "{% set trained.turns = trained.turns + [message] %}{% endfor %}{% set messages = trained.turns %}\n"
    )


def _asked(fmt: Format) -> str:
    """The task's prompt around a message, as an expression."""
    parts = fmt.task.prompt.split("{question}")
    return " + ".join([quoted(parts[0]), *(f"message['content'] + {quoted(part)}" for part in parts[1:])])
