"""The checker process: `python -m data_gen.grading.worker`. It reads and writes JSON lines.

A question is `{"kind": "reads", gold}`, `{"kind": "math", gold, answer}` or `{"kind": "reasoning_gym", generator,
config, entry, answer}`. A reply is `{verdict, reason, score}`, or `{error}` for a user error.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from data_gen.grading.clean import words
from data_gen.limited_worker import Work, serve
from data_gen.sources.generators import generator, unpack

MEMORY = 4 << 30
"""Bytes of address space, so that a tower of powers ends in MemoryError and not in swapping."""
_MARKED = re.compile(r"\$|\\\(|\\\[|\\boxed")
_JOINING = {"and", "or", "infinity", "infty", "oo"}
_LATEX = (
    (re.compile(r"(?<!\\)\bsqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"√\s*\(([^()]*)\)|√\s*(\w+)"), lambda m: f"\\sqrt{{{m[1] or m[2]}}}"),
    (re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])|π"), r"\\pi "),
    (re.compile(r"∞|(?<!\\)\b(?:infinity|infty|oo)\b"), r"\\infty "),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\*|×"), r" \\cdot "),
    (re.compile(r"<=|≤"), r" \\leq "),
    (re.compile(r">=|≥"), r" \\geq "),
    (re.compile(r"∪|(?<=[)\]])\s*U\s*(?=[(\[])"), r" \\cup "),
)


def main() -> None:
    """Answer questions until stdin closes."""
    serve(partial(importlib.import_module, "math_verify"), _work, memory=MEMORY)


def _work(question: dict[str, Any]) -> Work:
    judgement = _judgement(question)
    return lambda: dict(zip(("verdict", "reason", "score"), judgement(), strict=True))


Judgement = tuple[str, str, float | None]
"""Verdict, reason and score. None: the default score of the verdict."""


def _judgement(question: dict[str, Any]) -> Callable[[], Judgement]:
    """The part of the work that runs under the timers: loading a generator is not charged to the answer."""
    if question["kind"] == "reads":
        return partial(reads, question["gold"])
    if question["kind"] == "math":
        return partial(judge, question["gold"], question["answer"])
    scorer = generator(question["generator"], question["config"]).score_answer
    return partial(score, scorer, unpack(question["entry"]), question["answer"])


def score(scorer: Callable[[str, dict[str, Any]], float], entry: dict[str, Any], answer: str) -> Judgement:
    """Grades by a generator's scorer. A MemoryError ends the process."""
    try:
        reward = scorer(answer, entry)
    except MemoryError:
        raise
    except Exception:
        # Some scorers parse the answer without checks: `int("no idea")`.
        return "wrong", "unreadable", None
    return ("correct" if reward >= 1.0 else "wrong"), "generator", min(max(float(reward), 0.0), 1.0)


def reads(gold: str) -> Judgement:
    """`correct` if an expression in LaTeX or plain notation can be read and compared with 1."""
    golds = _parse(gold)
    if golds:
        _equal(golds, _parse("1"))  # some are read at once but hang when evaluated
    return ("correct" if golds else "wrong"), "reads", None


def judge(gold: str, answer: str) -> Judgement:
    """For two expressions in LaTeX or plain notation. The first is known to be readable."""
    return ("correct" if _equal(_parse(gold), _parse(answer)) else "wrong"), "math_verify", None


def latex(text: str) -> str:
    r"""Plain notation rewritten as LaTeX between dollar signs. Sentences are unchanged.

    >>> latex("2*sqrt(3)")
    '$2 \\cdot \\sqrt{3}$'
    """
    if _MARKED.search(text) or set(words(text)) - _JOINING:
        return text
    for pattern, by in _LATEX:
        text = pattern.sub(by, text)
    if text.startswith("{") and text.endswith("}"):
        text = "\\{" + text[1:-1] + "\\}"
    return f"${text}$"


def _equal(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    # math-verify's own timeouts use signals in the main thread. Here the kernel's timers limit each question instead.
    return verify(gold, answer, allow_set_relation_comp=True, timeout_seconds=None)


def _parse(text: str) -> list[Any]:
    from math_verify import parse

    return parse(latex(text), fallback_mode="no_fallback", parsing_timeout=None)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
