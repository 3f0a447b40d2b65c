"""Verdicts of the default grader on short answers, and on answers that are made to hang it.

The short answers are drawn, none of them twice, so that no cache has them: numbers in their usual forms, as gold and as
answers say them, right and wrong. Their time is the processor's, so that a busy machine gives the same figure. The
checker process has its own limits; a hang is a verdict that outlasts them.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from typing import Any

from data_gen.extractors.last_number import LastNumber
from data_gen.graders.auto import Auto
from data_gen.grading.checker import CPU_SECONDS
from data_gen.limited_worker import WALL_FACTOR
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict

PAIRS = 12_000
FORMS = (
    "{0}",
    "{0}.0",
    "${0}",
    "{0} apples",
    "{0:,}",
    "\\boxed{{{0}}}",
    "{0}%",
    "\\frac{{{1}}}{{2}}",
    "the answer is {0}",
)
HOSTILE = (
    "9^{9^{9^{9}}}",
    "9" * 100_000,
    "(" * 50_000,
    "{" * 50_000,
    "\\frac{" * 2_000 + "1" + "}{2}" * 2_000,
    "\\sqrt{" * 2_000 + "2" + "}" * 2_000,
    "1" + "+1" * 20_000,
    "1/" * 20_000 + "1",
    "-" * 50_000 + "1",
    "1," * 50_000 + "1",
    " ".join(["one hundred"] * 10_000),
    "a" * 100_000,
    "1 or " * 20_000 + "2",
    "x^{2}" * 3_000,
    "10^{10^{10}} - 10^{10^{10}}",
    "\\sum_{n=1}^{10^{18}} \\frac{1}{n}",
    "1e999999999",
    "0.(" + "3" * 20_000 + ")",
    "1:" * 20_000 + "1",
    "(A) " * 20_000,
    "!" * 20_000 + "5",
    "5" + "!" * 200,
    "\\text{" * 5_000,
    "$" * 50_000 + "5",
)
GOLDS = ("18", "\\frac{1}{2}", "\\sqrt{2}", "B", "yes", "red")


def run() -> Iterator[dict[str, Any]]:
    """Verdicts a second, and hangs."""
    pairs = _pairs()
    began = time.process_time()
    found = [_verdict(gold, answer) is Verdict.CORRECT for gold, answer, _ in pairs]
    speed = len(pairs) / (time.process_time() - began)
    wrong = sum(right != equal for right, (_, _, equal) in zip(found, pairs, strict=True))
    yield {
        "name": "grader.short_answers",
        "value": round(speed),
        "unit": "1/s",
        "target": ">= 2000",
        "ok": speed >= 2000,
    }
    yield {"name": "grader.short_answers_misjudged", "value": wrong, "unit": "verdicts", "target": "0", "ok": not wrong}
    slowest, hangs = _hostile()
    yield {"name": "grader.hangs", "value": hangs, "unit": "verdicts", "target": "0", "ok": not hangs}
    yield {"name": "grader.slowest_hostile", "value": round(slowest, 2), "unit": "s", "target": None, "ok": True}


def _pairs() -> list[tuple[str, str, bool]]:
    """(gold, answer, whether they are equal). Units and percentages are paired with their like: `7%` may mean 7 or
    0.07, and 7 apples are not $7."""
    rng, found = random.Random(0), []
    for n in rng.sample(range(1_000, 1_000_000), PAIRS):
        equal = rng.random() < 0.5
        gold = rng.choice(FORMS)
        said = rng.choice([form for form in FORMS if _unit(form) == _unit(gold)])
        m = n if equal else n + 1
        found.append((gold.format(n, 2 * n), said.format(m, 2 * m), equal))
    return found


def _unit(form: str) -> str:
    return next((unit for unit in ("%", "apples", "$") if unit in form), "")


def _hostile() -> tuple[float, int]:
    """Seconds of the slowest verdict, and how many outlasted the limit, with hostile texts as answers and as gold."""
    seconds = []
    for gold, text in itertools.product(GOLDS, HOSTILE):
        for pair in ((gold, text), (text, gold)):
            began = time.perf_counter()
            _verdict(*pair)
            seconds.append(time.perf_counter() - began)
    for text in HOSTILE:
        began = time.perf_counter()
        LastNumber().find(text, "Answer: ")
        seconds.append(time.perf_counter() - began)
    return max(seconds), sum(taken > CPU_SECONDS * WALL_FACTOR for taken in seconds)


def _verdict(gold: str, answer: str) -> Verdict:
    problem = Problem(id="p", question="q", gold=gold, group="p", split="test")
    return Auto().grade(problem, Answer(answer)).verdict
