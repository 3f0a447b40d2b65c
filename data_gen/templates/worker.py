"""The worker that renders chat templates: `python -m data_gen.templates.worker`.

A template is a program from the Hub. transformers' sandbox keeps it from files and the network, not from running for
ever or filling the memory.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from data_gen.errors import first_line
from data_gen.limited_worker import Work, serve

MEMORY = 2 << 30
"""Bytes of address space."""
LONGEST = 1 << 24
"""Most characters of a rendered text."""


def main() -> None:
    """Answer `{template, special, chats}` with `{texts}`, or with `{refused}` where the template raises."""
    serve(partial(importlib.import_module, "transformers.utils.chat_template_utils"), _work, memory=MEMORY)


def _work(question: dict[str, Any]) -> Work:
    return partial(_rendered, question["template"], question["special"], question["chats"])


def _rendered(template: str, special: dict[str, Any], chats: list[tuple[list[dict[str, str]], bool]]) -> dict[str, Any]:
    from transformers.utils.chat_template_utils import render_jinja_template

    texts = []
    try:
        for messages, ask in chats:
            made: Any = render_jinja_template([messages], chat_template=template, add_generation_prompt=ask, **special)
            text = made[0][0]
            if len(text) > LONGEST:
                return {"refused": f"it writes {len(text)} characters"}
            texts.append(text)
    except Exception as error:  # a template may raise anything
        return {"refused": first_line(error)}
    return {"texts": texts}


if __name__ == "__main__":
    main()
