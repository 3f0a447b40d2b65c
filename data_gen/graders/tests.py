"""`tests`: a program that passes tests, run in the sandbox."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Hashable
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader, decided
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.sandbox.outcome import RunLimits
from data_gen.sandbox.testing import judge


@GRADERS.register("tests")
class Tests(Grader):
    """`grader: tests`, or `{uses: tests, cpu_s: 10, memory: 1024}`: gold is Python that tests a program, such as
    `assert double(2) == 4`, or a list of such texts. The answer is the program.

    A row may bring more: `fields: {payload: {setup: COLUMN, given: COLUMN, check: COLUMN}}`. `setup` goes before the
    tests. `given` is the beginning of the program, which the question shows (a function without its body); the answer
    goes on with it or writes the function again. `check` names the function that the tests' `check(...)` is called
    with.

    Program and tests run in two jails (`data_gen/sandbox/testing.py`). The program sees its arguments, and neither the
    tests nor what they expect. Where no sandbox holds, nothing is graded: the stage is refused.
    """

    version: ClassVar[int] = 1
    instant: ClassVar[bool] = False
    runs_programs: ClassVar[bool] = True
    forms_decide: ClassVar[bool] = True
    keeps_lists: ClassVar[bool] = True
    uses: Literal["tests"] = "tests"
    cpu_s: float = Field(5.0, gt=0, le=3600)
    """Seconds of processor time of a program, rounded up to whole ones. The wall-clock limit is four times that."""
    memory: int = Field(512, ge=64)
    """MiB of address space of a program."""

    def reads(self, gold: str) -> bool:
        """Python, or a list of texts that are."""
        return _tests(gold) is not None

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """CORRECT `tests` for a program that passes. WRONG `tests` (an assertion fails), `error` (another exception),
        `timeout`, `died`, or `unsupported` (it asks for what the tier `wasm` of the sandbox does not have).

        Raises:
            UserError: If no sandbox holds on this machine.
        """
        if problem.gold is None:
            return Grade(Verdict.UNVERIFIABLE, "no_gold")
        tests = _tests(problem.gold)
        if tests is None:
            return Grade(Verdict.UNVERIFIABLE, "bad_gold")
        if answer.text is None or not answer.text.strip():
            return Grade(Verdict.WRONG, "no_answer")
        brought = json.loads(problem.payload or "{}")
        given = brought.get("given", "")
        check = f"check({brought['check']})" if "check" in brought else ""
        source = "\n".join((brought.get("setup", ""), tests, check))
        program = f"{given.rstrip()}\n{answer.text}" if given else answer.text
        limits = RunLimits(cpu_s=self.cpu_s, memory=self.memory << 20)
        found = judge(program, source, given=given, limits=limits)
        return decided(found == "passed", "tests" if found in ("passed", "failed") else found)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """Its text: whether two programs do the same cannot be told."""
        return answer.strip()

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Not called: `grade` needs the whole problem."""
        raise NotImplementedError


def _tests(gold: str) -> str | None:
    """The source of the tests; None if it is not Python, or empty."""
    try:
        listed = json.loads(gold)
    except ValueError:
        listed = None
    if isinstance(listed, list) and all(isinstance(test, str) for test in listed):
        gold = "\n".join(listed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as for `is` with a literal
            return gold if ast.parse(gold).body else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
