"""Renders chat templates, under limits of time and memory and at a fixed date."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from data_gen.errors import UserError
from data_gen.limited_worker import LimitedWorker

CPU_SECONDS = 2.0
"""Processor time limit of all texts that are rendered for one policy."""
DATE = "2024-07-26"
"""What templates that read the clock are told unless a Format says otherwise: the date that Llama 3.1's writes where
there is no clock."""
DIRECTIVE = re.compile("%[-_0]?[aAbBcdDeFgGhHIjmMnprRStTuUVwWxXyY]")
"""What `strftime` replaces."""


class Chat(NamedTuple):
    """`Chat((("user", "2 + 2?"),), ask=True)`. `ask`: the text ends where the assistant's answer begins."""

    turns: tuple[tuple[str, str], ...]
    """(role, content) of each message."""
    ask: bool


_WORKER = LimitedWorker(
    "data_gen.templates.worker",
    CPU_SECONDS,
    name="The renderer of chat templates",
    advice="Reinstall transformers and jinja2 (`pip install 'transformers>=5.19' jinja2`).",
)


def render(template: str, tokenizer: Any, *chats: Chat) -> list[str]:
    """The text of each chat. UserError if the template raises or outlasts its limits."""
    special = tuple((name, str(text)) for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str))
    return list(_rendered(template, special, chats))


@lru_cache(256)
def _rendered(template: str, special: tuple[tuple[str, str], ...], chats: tuple[Chat, ...]) -> tuple[str, ...]:
    messages = [([{"role": role, "content": content} for role, content in chat.turns], chat.ask) for chat in chats]
    reply = _WORKER.ask({"template": template, "special": dict(special), "chats": messages})
    if isinstance(reply, str):
        why = f"it runs for more than {CPU_SECONDS:g} s" if reply == "timeout" else "it needs too much memory"
        raise UserError(f"The chat template of the tokenizer cannot be rendered: {why}. {MEND}")
    if "refused" in reply:
        raise UserError(f"The chat template of the tokenizer refuses {_said(chats)} ({reply['refused']}). {MEND}")
    return tuple(reply["texts"])


MEND = "Correct the template (chat_template.jinja or tokenizer_config.json), or use `format: {template: plain}`."


def _said(chats: tuple[Chat, ...]) -> str:
    """What the longest of the chats is made of, for messages."""
    roles = [role for role, _ in max(chats, key=lambda chat: len(chat.turns)).turns]
    return "a chat of " + ", ".join(
        dict.fromkeys({"system": "a system text (`format.system`)"}.get(r, f"{r} turns") for r in roles)
    )


def frozen(template: str, date: str) -> str:
    """The template with a clock that stands at midnight of a date. Templates that read no clock are unchanged.

    >>> frozen("{{ bos_token }}", "2024-07-26")
    '{{ bos_token }}'
    """
    if "strftime_now" not in template:
        return template
    day = datetime.fromisoformat(date)
    # `%%` is kept aside while the others are replaced.
    steps = [("%%", "\0"), *((one, day.strftime(one)) for one in sorted(set(DIRECTIVE.findall(template)))), ("\0", "%")]
    chain = "".join(f" | replace({quoted(old)}, {quoted(new)})" for old, new in steps)
    # A block eats the line end behind it, so the template begins at the start of a line, as it did.
    return f"{{% macro strftime_now(format) %}}{{{{ format{chain} }}}}{{% endmacro %}}\n{template}"


def quoted(text: str) -> str:
    """A text as Jinja writes it."""
    escaped = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
    return "'" + "".join(escaped.get(char, char) for char in text) + "'"
