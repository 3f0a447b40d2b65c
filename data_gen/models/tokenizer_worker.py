"""The worker that tries a tokenizer of a foreign folder: `python -m data_gen.models.tokenizer_worker`.

`tokenizer.json` is a program of a kind: its patterns may backtrack for ever, and its replacements may multiply a text
until the memory is full.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from data_gen.errors import first_line
from data_gen.limited_worker import Work, serve

MEMORY = 2 << 30
"""Bytes of address space."""
LONGEST = 1 << 16
"""Most tokens of a probe. A byte-level one makes up to four of a character."""
_RUN = 2000
_PIECES = ("a", "A", "x", "0", "1", " ", "\n", "\r\n", "\t", ".", "-", "_", "'", '"', "é", "中", "ab", "a1", " a", "a ")
PROBES = [piece * _RUN + end for piece in _PIECES for end in ("", "!", "\0")]
"""Runs of one piece with something behind it that a pattern may not take, where those that backtrack do it most."""


def main() -> None:
    """Answer `{file}` with `{}`, or with `{refused}` for a tokenizer that must not be used."""
    serve(partial(importlib.import_module, "tokenizers"), _work, memory=MEMORY)


def _work(question: dict[str, Any]) -> Work:
    return partial(_tried, question["file"])


def _tried(file: str) -> dict[str, Any]:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(file)
        for probe in PROBES:
            if (length := _tokens(tokenizer, probe)) > LONGEST:
                return {"refused": f"it makes {length} tokens of {len(probe)} characters"}
    except BaseException as error:  # a panic of the library is no Exception
        return {"refused": first_line(error)}
    return {}


def _tokens(tokenizer: Any, text: str) -> int:
    """A vocabulary without an unknown token refuses texts. It may."""
    try:
        return len(tokenizer.encode(text).ids)
    except Exception:
        return 0


if __name__ == "__main__":
    main()
