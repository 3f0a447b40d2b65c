"""Programs that do not do what is asked and try to pass all the same, by what they try.

Each may define `double`; the tests ask for doubled numbers and lists. None of them is right.
"""

from __future__ import annotations

TESTS = """
import math
assert double(2) == 4
assert math.isclose(double(0.5), 1.0)
assert sorted(double([3])) == [3, 3]
assert all(double(n) == 2 * n for n in range(3)) and len(double("ab")) == 4
"""


def _written(data: str) -> str:
    """A program that writes to whatever is open, before anybody asks."""
    return f"import os\nfor fd in range(64):\n    try: os.write(fd, {data})\n    except OSError: pass"


FORGERIES: dict[str, str] = {
    "nothing": "pass",
    "none": "def double(x): return None",
    "exit_at_once": "import os\nos._exit(0)",
    "exit_politely": "raise SystemExit(0)",
    "exit_when_asked": "import os\ndef double(x): os._exit(0)",
    "raise_exit_when_asked": "def double(x): raise SystemExit(0)",
    "raise_assertion": "def double(x): raise AssertionError",
    "raise_something_odd": "class Odd(BaseException): pass\ndef double(x): raise Odd('passed')",
    "raise_a_name_of_the_tests": "class Gone(BaseException): pass\ndef double(x): raise Gone",
    "print_the_verdict": (
        "import sys\nprint('passed')\nprint('\"passed\"', file=sys.stderr)\ndef double(x): print('passed')"
    ),
    "print_at_exit": "import atexit\natexit.register(print, '\"passed\"')\ndef double(x): raise SystemExit",
    "write_the_verdict_everywhere": _written('b\'"met"\\n"passed"\\n\''),
    "answer_before_it_is_asked": _written("b'[\"value\", null]\\n' + b'[\"value\", true]\\n' * 50"),
    "always_equal": (
        "class Any:\n    def __eq__(self, other): return True\n    def __iter__(self): return iter([3, 3])\n"
        "    def __len__(self): return 4\n    def __float__(self): return 1.0\ndef double(x): return Any()"
    ),
    "always_equal_number": (
        "class Any(float):\n    def __eq__(self, other): return True\n    __hash__ = None\ndef double(x): return Any(7)"
    ),
    "always_equal_list": "class Any(list):\n    def __eq__(self, other): return True\ndef double(x): return Any([1])",
    "not_a_number": "def double(x): return float('nan')",
    "infinite": "def double(x): return float('inf')",
    "patch_builtins": (
        "import builtins, math\nbuiltins.all = math.isclose = lambda *_: True\nbuiltins.sorted = lambda _: [3, 3]\n"
        "builtins.len = lambda _: 4\nbuiltins.AssertionError = ValueError\ndef double(x): return 4"
    ),
    "define_builtins": (
        "all = sorted = len = lambda *_: True\nclass math:\n    isclose = lambda *_: True\ndef double(x): return 4"
    ),
    "patch_the_runner": (
        "import sys\nmain = sys.modules['__main__']\nmain.packed = lambda *_: ['type', 'object']\n"
        "main.Subject.answer = lambda *_: True\ndef double(x): return 4"
    ),
    "import_the_judge": "import sys\nsys.path.insert(0, '/inside')\nimport judge\njudge.verdict = lambda *_: 'passed'",
    "look_for_the_tests": (
        "import gc, os, sys\ndef double(x):\n    frame = sys._getframe()\n"
        "    seen = [open(f).read() for f in os.listdir()]\n"
        "    seen += [str(o) for o in gc.get_objects() if isinstance(o, (str, dict, list))]\n"
        "    while frame:\n        seen.append(str(frame.f_locals))\n        frame = frame.f_back\n"
        "    return 2 * x if ''.join(['isclose', '(double']) in ''.join(seen) else None"
    ),
    "trace": (
        "import os, sys\nsys.settrace(lambda *_: None)\nsys.excepthook = lambda *_: os._exit(0)\n"
        "def double(x): return 1"
    ),
    "kill_the_others": "import os, signal\ndef double(x): os.kill(-1, signal.SIGKILL)",
    "a_wrong_reference": _written('b\'["value", ["ref", -1]]\\n\' * 9'),
    "deep_json": _written("b'[' * 60000 + b'\\n'"),
    "endless_json": (
        "import os\nwhile True:\n    for fd in range(3, 64):\n        try: os.write(fd, b'[1,' * 20000)\n"
        "        except OSError: pass"
    ),
    "a_large_value": "def double(x): return 'x' * (200 << 20)",
    "an_endless_list": "import itertools\ndef double(x): return itertools.repeat(3)",
    "a_list_that_holds_itself": "x = []\nx.append(x)\ndef double(_): return x",
    "loop_when_asked": "def double(x):\n    while True: pass",
    "sleep_when_asked": "import time\ndef double(x): time.sleep(3600)",
    "not_python": "def double(x:",
    "only_the_first": "def double(x): return 4",
}
