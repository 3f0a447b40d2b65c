"""The far side of the checker process: `python -m data_gen.grading.worker`, JSON lines in, JSON lines out.

A question is `{"kind": "reads", gold, cpu_seconds}`, `{"kind": "math", gold, answer, cpu_seconds}` or `{"kind":
"reasoning_gym", generator, config, entry, answer, cpu_seconds}`, a reply `{verdict, reason, score}`, or `{error}` for a
mistake of the user's. Each judgement runs under two kernel timers whose signals are left to their default, which is to
end the process: neither Python code nor a big-number routine in C can outlast them, even when the parent is gone.
Between judgements the end of stdin ends the process.
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
"""Bytes of address space: a tower of powers ends in MemoryError, not in the machine's swap."""
WALL_FACTOR = 6
"""Wall-clock limit over processor-time limit."""
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
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit and refuses to set it
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
"""Verdict, reason and score; None: the verdict says all."""


def _judgement(question: dict[str, Any]) -> Callable[[], Judgement]:
    """What remains to do under the timers: loading a generator is not the answer's doing."""
    if question["kind"] == "reads":
        return partial(reads, question["gold"])
    if question["kind"] == "math":
        return partial(judge, question["gold"], question["answer"])
    scorer = generator(question["generator"], question["config"]).score_answer
    return partial(score, scorer, unpack(question["entry"]), question["answer"])


def score(scorer: Callable[[str, dict[str, Any]], float], entry: dict[str, Any], answer: str) -> Judgement:
    """By a generator's scorer; a MemoryError ends the process."""
    try:
        reward = scorer(answer, entry)
    except MemoryError:
        raise
    except Exception:
        # Some scorers read the answer without care: `int("no idea")`.
        return "wrong", "unreadable", None
    return ("correct" if reward >= 1.0 else "wrong"), "generator", min(max(float(reward), 0.0), 1.0)


def reads(gold: str) -> Judgement:
    """`correct` where an expression in LaTeX or plain notation can be read, and compared with 1."""
    golds = _parse(gold)
    if golds:
        _equal(golds, _parse("1"))  # some are read at once and hang when they are worked out
    return ("correct" if golds else "wrong"), "reads", None


def judge(gold: str, answer: str) -> Judgement:
    """For two expressions in LaTeX or plain notation, of which the first can be read."""
    return ("correct" if _equal(_parse(gold), _parse(answer)) else "wrong"), "math_verify", None


def latex(text: str) -> str:
    r"""Plain notation rewritten as LaTeX and put between dollar signs; sentences stay as they are.

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

    # math-verify's own timeouts are signals for the main thread of a process that shares them; ours are the kernel's.
    return verify(gold, answer, allow_set_relation_comp=True, timeout_seconds=None)


def _parse(text: str) -> list[Any]:
    from math_verify import parse

    return parse(latex(text), fallback_mode="no_fallback", parsing_timeout=None)  # type: ignore[arg-type]


def _arm(cpu_seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, cpu_seconds * WALL_FACTOR)


def _private_pipes() -> tuple[TextIO, TextIO]:
    """Questions and replies, moved off stdin and stdout: what a scorer or an evaluated answer prints must not pass for
    a reply."""
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
