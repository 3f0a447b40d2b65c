"""The client of the checker process, which judges answers under limits of time and memory."""

from __future__ import annotations

from typing import Any, Literal

from data_gen.limited_worker import LimitedWorker
from data_gen.records.verdict import Grade, Verdict

CPU_SECONDS = 5.0
"""Processor time limit per answer. It is not wall time, so a busy machine does not change verdicts."""

REMEMBERED = 10_000
"""Most golds whose result is cached."""

Reader = Literal["own", "math_verify"]
"""Whose reading of a formula is asked for."""


class Checker:
    """Grades answers in a separate process (`data_gen.grading.worker`). It is safe to call from any thread.

    Args:
        cpu_seconds: Processor time of one answer; the hard limit by the wall clock is six times that.
    """

    def __init__(self, cpu_seconds: float = CPU_SECONDS) -> None:
        advice = "Reinstall with `pip install 'mpmath>=1.3'`."
        self.worker = LimitedWorker("data_gen.grading.worker", cpu_seconds, name="The answer checker", advice=advice)
        self._read: dict[tuple[Reader, str], bool] = {}

    def reads(self, gold: str, by: Reader = "own") -> bool:
        """Whether a reference formula by itself can be read within the limits. The result is cached, since many answers
        share one gold.

        Raises:
            UserError: If the worker cannot start because mpmath does not import, or math-verify does not.
        """
        if (by, gold) not in self._read:
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            asked = {"kind": "reads"} if by == "own" else {"kind": "math_verify", "ask": "reads"}
            self._read[by, gold] = self._judge({**asked, "gold": gold}).verdict is Verdict.CORRECT
        return self._read[by, gold]

    def compare(self, gold: str, answer: str) -> Grade:
        """Compares two formulas, of which gold was accepted by `reads`: CORRECT or WRONG `formula`. WRONG `timeout`
        or `checker_died` (e.g. out of memory), since then the answer is the cause.

        Raises:
            UserError: If the worker cannot start because mpmath does not import.
        """
        return self._judge({"kind": "math", "gold": gold, "answer": answer})

    def math_verify(self, ask: Literal["right", "same"], one: str, other: str) -> Grade:
        """What math-verify says: whether the second text, a completion, gives the first, which is gold; or whether two
        completions give the same. WRONG `timeout` or `checker_died`.

        Raises:
            UserError: If the library does not import.
        """
        return self._judge({"kind": "math_verify", "ask": ask, "gold": one, "answer": other})

    def score(self, generator: str, config: str, entry: dict[str, Any], answer: str) -> Grade:
        """A reasoning-gym scorer: CORRECT `generator` at a score of 1 or more, else WRONG with that score.

        Args:
            generator: Name of the generator.
            config: Its settings as a JSON object.
            entry: The entry of the problem, packed by `grading.generators.pack`.
            answer: The answer of the solution.

        Returns:
            WRONG `unreadable` if the scorer raises; WRONG `timeout` or `checker_died`.

        Raises:
            UserError: If the worker cannot start, or reasoning-gym has no such generator or refuses its settings.
        """
        return self._judge(
            {"kind": "reasoning_gym", "generator": generator, "config": config, "entry": entry, "answer": answer}
        )

    def _judge(self, question: dict[str, Any]) -> Grade:
        reply = self.worker.ask(question)
        if isinstance(reply, str):
            return Grade(Verdict.WRONG, "timeout" if reply == "timeout" else "checker_died")
        return Grade(Verdict(reply["verdict"]), reply["reason"], reply.get("score"))


_CHECKER = Checker()


def reads(gold: str, by: Reader = "own") -> bool:
    """`Checker.reads` on this process's one worker."""
    return _CHECKER.reads(gold, by)


def compare(gold: str, answer: str) -> Grade:
    """`Checker.compare` on this process's one worker."""
    return _CHECKER.compare(gold, answer)


def score(generator: str, config: str, entry: dict[str, Any], answer: str) -> Grade:
    """`Checker.score` on this process's one worker."""
    return _CHECKER.score(generator, config, entry, answer)


def math_verify(ask: Literal["right", "same"], one: str, other: str) -> Grade:
    """`Checker.math_verify` on this process's one worker."""
    return _CHECKER.math_verify(ask, one, other)
