"""The checker process: `python -m data_gen.grading.worker`. It reads and writes JSON lines.

A question is `{"kind": "reads", gold, cpu_seconds}`, `{"kind": "math", gold, answer, cpu_seconds}` or `{"kind":
"reasoning_gym", generator, config, entry, answer, cpu_seconds}`. A reply is `{verdict, reason, score}`, or `{error}`
for a user error. Each grading runs under two kernel timers whose signals keep their default action, which ends the
process. Neither Python code nor a big-number routine in C can outlast them, even when the parent is gone. Between
gradings the process ends when stdin closes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO

from data_gen.errors import UserError
from data_gen.grading.clean import words
from data_gen.sources.generators import generator, unpack

MEMORY = 4 << 30
"""Bytes of address space, so that a tower of powers ends in MemoryError and not in swapping."""
WALL_FACTOR = 6
"""Ratio of the wall-clock limit to the processor-time limit."""
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
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit but refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    questions, replies = _private_pipes()
    try:
        import math_verify  # noqa: F401
    except Exception as error:
        _reply(replies, {"error": f"{type(error).__name__}: {error}"})
        return
    _reply(replies, {"ready": True})
    for line in questions:
        question = json.loads(line)
        try:
            judgement = _judgement(question)
        except UserError as error:
            _reply(replies, {"error": str(error)})
            continue
        _arm(question["cpu_seconds"])
        verdict, reason, score = judgement()
        _arm(0.0)
        _reply(replies, {"verdict": verdict, "reason": reason, "score": score})


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


def _arm(cpu_seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, cpu_seconds * WALL_FACTOR)


def _private_pipes() -> tuple[TextIO, TextIO]:
    """Questions and replies, moved off stdin and stdout, so that output of a scorer or an evaluated answer cannot pass
    for a reply."""
    questions, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return questions, replies


def _reply(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
