"""Programs pass tests by giving right values, and by nothing else."""

from __future__ import annotations

import pytest

from data_gen.sandbox import RunLimits
from data_gen.sandbox.testing import Judged, judge
from tests.data_gen.sandbox.forgeries import FORGERIES, TESTS
from tests.data_gen.sandbox.hostile import ENDED, HELP, REFUSED

FEW = RunLimits(cpu_s=0.5, memory=128 << 20)
RIGHT = "def double(x):\n    print('[]')\n    return x * 2"
QUESTION = (
    'import math\n\ndef area(r):\n    return math.pi * r * r\n\ndef halved(r):\n    """Radius of half the area."""\n'
)
HALVED = "def check(f):\n    assert math.isclose(2 * area(f(3)), area(3))\n\ncheck(halved)"

CASES: list[tuple[str, str, Judged]] = [
    (
        "def f(): return {1: (2, {3}), 'a': b'x', None: frozenset()}",
        "assert f() == {1: (2, {3}), 'a': b'x', None: frozenset()}",
        "passed",
    ),
    (
        "def f(): return (1, [2.5, 1j, True])",
        "assert f() == (1, [2.5, 1j, True]) and f() != [1, [2.5, 1j, True]]",
        "passed",
    ),
    ("def f(): return 10 ** 5000", "assert f() == 10 ** 5000", "passed"),
    ("def f(): return float('inf')", "assert f() > 10 ** 300", "passed"),
    ("def f(x): return 'a' + x", "assert f('\\ud800\\0') == 'a\\ud800\\0'", "passed"),
    ("def f(n):\n    for i in range(n): yield i", "assert list(f(3)) == [0, 1, 2] and next(f(1)) == 0", "passed"),
    (
        "from collections import Counter, deque\ndef f(x): return Counter(x), deque(x)",
        "from collections import deque\nassert f('aab') == ({'a': 2, 'b': 1}, deque('aab'))",
        "passed",
    ),
    (
        "class Node:\n    def __init__(self, v): self.v = v\ndef f(n): return n.left.v",
        "root = Node(1)\nroot.left = Node(2)\nassert f(root) == 2 and root.left.v == 2",
        "passed",
    ),
    ("def f(kinds): return isinstance(3, kinds)", "assert f((int, str)) and not f(str)", "passed"),
    (
        "def f(x): raise ValueError('no')",
        "try:\n    f(1)\nexcept ValueError as e:\n    assert 'no' in str(e)",
        "passed",
    ),
    ("def sum(a, b): return a * b", "assert sum(2, 3) == 6", "passed"),
    ("def len(x): return 3\ndef f(): return [1]", "assert len(f()) == 3", "failed"),
    ("def f(): return object()", "assert f() == 1", "failed"),
    ("class A:\n    def __add__(self, other): return 3\ndef f(): return A()", "assert f() + 1 == 3", "error"),
    ("if __name__ == '__main__': 1 / 0\ndef f(): return 1", "assert f() == 1", "passed"),
    ("def g(): return 1", "assert f() == 1", "error"),
    ("def f(x): raise StopIteration", "assert all(map(f, [1, 2])) and not list(map(f, [1]))", "error"),
    ("import os\ndef f(): os.abort()", "assert f() == 1", "died"),
    ("def f(): return 1", "while True: f()", "timeout"),
]
"""Program, tests, what comes of them."""


def test_a_right_program_passes() -> None:
    assert judge(RIGHT, TESTS) == "passed"


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_fail(name: str) -> None:
    assert judge(FORGERIES[name], TESTS, limits=FEW) in ("failed", "error", "timeout", "died")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*REFUSED, *ENDED])
def test_hostile_programs_fail(name: str) -> None:
    program = REFUSED.get(name) or ENDED[name][0]
    assert judge(HELP + program, TESTS, limits=FEW) in ("failed", "error", "timeout", "died")
    inside = "\n    ".join(program.splitlines())
    assert judge(f"{HELP}\ndef double(x):\n    {inside}", TESTS, limits=FEW) in ("failed", "error", "timeout", "died")
    assert judge(RIGHT, TESTS) == "passed"


@pytest.mark.parametrize(("program", "tests", "said"), CASES)
def test_what_comes_of_tests(program: str, tests: str, said: Judged) -> None:
    assert judge(program, tests, limits=RunLimits(cpu_s=1)) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("    return r / math.sqrt(2)", "passed"),
        ("def halved(r):\n    return r / math.sqrt(2)", "passed"),
        ("    return r", "failed"),
        ("def area(r): return 0\ndef halved(r): return 0", "failed"),
    ],
)
def test_what_the_question_gives_is_not_the_programs_to_change(answer: str, said: Judged) -> None:
    assert judge(f"{QUESTION}\n{answer}", HALVED, given=QUESTION) == said
