"""The checker process: `python -m data_gen.grading.worker`. It reads and writes JSON lines.

A question is `{"kind": "reads", gold}`, `{"kind": "math", gold, answer}`, `{"kind": "math_verify", ask, gold, answer}`
or `{"kind": "reasoning_gym", generator, config, entry, answer}`. A reply is `{verdict, reason, score}`, or `{error}`
for a user error.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from data_gen.grading import verify
from data_gen.grading.amounts import Amount
from data_gen.grading.generators import generator, unpack
from data_gen.grading.readings import read
from data_gen.grading.sameness import same
from data_gen.limited_worker import Work, serve

MEMORY = 4 << 30
"""Bytes of address space, so that a tower of powers ends in MemoryError and not in swapping."""


def main() -> None:
    """Answer questions until stdin closes."""
    serve(partial(importlib.import_module, "mpmath"), _work, memory=MEMORY)


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
    if question["kind"] == "math_verify":
        verify.load()
        return partial(verified, question["ask"], question["gold"], question.get("answer", ""))
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
    """`correct` if a text can be read, and everything that it may say can be evaluated."""
    from data_gen.grading import algebra

    readings = read(gold)
    known = all(algebra.has_value(one.value.value) for one in readings if isinstance(one.value, Amount))
    return ("correct" if readings and known else "wrong"), "reads", None


def judge(gold: str, answer: str) -> Judgement:
    """For two texts that can be read."""
    from data_gen.grading import algebra

    return ("correct" if same(read(gold), read(answer), algebra.equal) else "wrong"), "formula", None


def verified(ask: str, gold: str, answer: str) -> Judgement:
    """What math-verify says: see `Checker.math_verify` and `Checker.reads`."""
    found = verify.reads(gold) if ask == "reads" else getattr(verify, ask)(gold, answer)
    return ("correct" if found else "wrong"), "math_verify", None


if __name__ == "__main__":
    main()
