"""The far side of the symbolic checker: `python -m data_gen.grading.worker`, JSON lines in, JSON lines out.

Each comparison runs under two kernel timers whose signals are left to their default, which is to end the process: neither Python code
nor a big-number routine in C can outlast them, even when the parent is gone. Between comparisons the end of stdin ends the process.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
from typing import Any

from data_gen.grading.clean import words

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
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        import math_verify  # noqa: F401
    except Exception as error:
        _reply({"error": f"{type(error).__name__}: {error}"})
        return
    _reply({"ready": True})
    for line in sys.stdin:
        question = json.loads(line)
        _arm(question["cpu_seconds"])
        verdict, reason = judge(question["gold"], question["answer"])
        _arm(0.0)
        _reply({"verdict": verdict, "reason": reason})


def judge(gold: str, answer: str) -> tuple[str, str]:
    """Verdict and reason for two expressions in LaTeX or plain notation."""
    from math_verify import verify

    golds = _parse(gold)
    if not golds:
        return "unverifiable", "bad_gold"
    # math-verify's own timeouts are signals for the main thread of a process that shares them; ours are the kernel's.
    return ("correct" if verify(golds, _parse(answer), allow_set_relation_comp=True, timeout_seconds=None) else "wrong"), "math_verify"


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


def _parse(text: str) -> list[Any]:
    from math_verify import parse

    return parse(latex(text), fallback_mode="no_fallback", parsing_timeout=None)  # type: ignore[arg-type]


def _arm(cpu_seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, cpu_seconds * WALL_FACTOR)


def _reply(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
