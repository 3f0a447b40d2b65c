"""Graders: verdicts on a few answers that tell one from another, with their reasons and scores."""

from __future__ import annotations

import itertools
import json
from typing import Any

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader
from data_gen.grading.generators import generator, pack
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer
from tests.known_answers.cases import Settings, case

ASKED: dict[str, list[tuple[str, list[str | None]]]] = {
    "answers": [
        ("24;112", ["$24$; $112$", "24, 112", "112; 24", "24;1", "24", "24;112;1", None]),
        ("\\frac{1}{2}", ["0.5", "1; 2"]),
        ("yes", ["no"]),
        ("5;???", ["5;???"]),
    ],
    "auto": [
        ("18", ["18.0", "$18", "2 or 18", "x = 18", None]),
        ("\\frac{1}{2}", ["50%", "0.5", "0.49"]),
        ("\\sqrt{8}", ["2\\sqrt{2}", "3", "blue"]),
        ("B", ["(B) bank", "A or B"]),
        ("yes", ["True, since", "no"]),
        ("red", ["Red.", "der"]),
        ("a1b2", ["b2a1"]),
        ("???", ["???"]),
        ("5 km", ["5000 m", "5 m", "5"]),
        ("2 hours 30 minutes", ["150 min", "2"]),
        ("3:30 pm", ["15:30", "3:45 pm"]),
        ("June 5", ["5 June", "May 5"]),
        ("1/2^{99}", ["1/2^{98}"]),
        ("(-\\infty,2)", ["x < 2", "x > 2"]),
    ],
    "choice": [("B", ["b", "(B) bank", "bank", "A"]), ("A, D", ["AD", "D and A", "A"]), ("bank", ["bank"])],
    "exact": [("a B", [" a B ", "a b"])],
    "integer": [("-7", ["-7", "7", "-7.0"]), ("7.5", ["7.5"])],
    "list": [
        ('["btsti", ""]', ['["btsti", ""]', "[btsti, ]", '["btsti"]', "none"]),
        ("[1, 2, 3]", ["1, 2, 3", "1,2", "3, 2, 1", "1, 2, 3, 4"]),
        ("[]", ["[]", "[1]"]),
    ],
    "lm_eval_flex": [("1,200", ["$1200.", "1200", "1200.0", "[invalid]"]), ("So 1 + 1.\n#### 2", ["2", "2."])],
    "lm_eval_strict": [("1,200", ["$1200.", "1200", "1200.0", "[invalid]"]), ("So 1 + 1.\n#### 2", ["2", "2."])],
    "math": [("x^2+2x+1", ["(x+1)^2", "x^2", "what"]), ("red", ["red"])],
    "math_verify": [
        ("\\frac{3}{4}", ["It is $\\boxed{\\frac34}$.", "so 0.75", "the answer is 3/5", "no idea"]),
        ("10", ["10%", "first $\\boxed{9}$, then $\\boxed{10}$", "9 or 10"]),
        ("", ["10"]),
    ],
    "numeric": [("1,234", ["1234.0 euros", "1235", "many"]), ("25%", ["0.25", "25", "25 %"]), ("red", ["red"])],
    "set": [("[1, 2, 3]", ["3, 2, 1, 1", "1, 2", "4"]), ("24", ["24", "[24]"])],
    "text": [("New York", ["new  york.", "The answer is New York", "York New"])],
    "worded": [
        ("C(4, 2), or equivalently 6", ["6", "C(4,2)", "7"]),
        ("No integer solutions", ["none", "No solutions", "0 is one"]),
        ("3 is the only possible value", ["3", "The only possible value is 3", "4"]),
    ],
    "yes_no": [("no", ["No, it is not", "no solution", "yes"]), ("perhaps", ["no"])],
}
OPTIONS: dict[str, list[tuple[dict[str, Any], str, list[str | None]]]] = {
    "answers": [
        ({"separator": ","}, "(1,2),(3,4)", ["(1,2),(3,4)", "(3,4),(1,2)"]),
        ({"ordered": False}, "1;-1", ["-1; 1", "\\pm 1", "1;1"]),
        ({"letters": True}, "ABD", ["D, A, B", "AB", "BDA"]),
        ({"tolerance": 0.1}, "1.5;2", ["1.6;2.1", "1.7;2"]),
        ({"relative": 0.1}, "10;20", ["11;22", "12;20"]),
    ],
    "list": [
        ({"fields": ["first", "last"]}, '{"first": 1, "last": 2}', ['{"last": 2, "first": 1}', '{"first": 1}']),
        ({"separator": ";"}, '["1,5", "2"]', ["1,5; 2", "1,5, 2"]),
        ({"fields": ["first"], "last": "end"}, '{"first": [1], "end": [2, 3]}', ['{"first": 1, "end": [2, 3]}', "1"]),
    ],
    "numeric": [
        ({"tolerance": 0.5}, "10", ["10.4", "10.5", "10.6"]),
        ({"relative": 0.1}, "-20", ["-21.9", "-22.5"]),
        ({"tolerance": 0.5, "relative": 0.1}, "20", ["21.9", "22.5"]),
    ],
}
"""Options of a grader, with gold and answers that are graded otherwise without them."""


@case("grader", *ASKED)
def grader(name: str) -> Any:
    """With the options bank and bay, A being `bay`."""
    asked = [[gold, *_graded(_grader(name), gold, said)] for gold, said in ASKED[name]]
    return asked + [
        [gold, Settings(_graded(_grader(name, **more), gold, said) for more in ({}, options))]
        for options, gold, said in OPTIONS.get(name, [])
    ]


@case("grader", "label")
def of_label() -> Any:
    """Labels in either case, further words for them, labels that count as one, and texts that begin with none."""
    labels = {"labels": {"Correct": ["right"], "Incorrect": [], "Unknown": []}}
    said: list[str | None] = ["correct.", "Right, since", "Incorrect", "unknown", "Corrects", "It is correct", None]
    made = [_grader("label", **labels, **more) for more in ({}, {"alike": [["Incorrect", "Unknown"]]})]
    return Settings([[_graded(one, gold, said) for gold in ("Correct", "Unknown", "none")] for one in made])


@case("grader", "generator")
def of_generator() -> Any:
    """A puzzle with several right answers, and a problem that no generator made."""
    entry = generator("countdown", json.dumps({"seed": 7, "size": 1}))[0]
    known = {"answer": entry["answer"], "metadata": entry["metadata"]}
    payload = json.dumps({"generator": "countdown", "config": {}, **pack(known)})
    made = _grader("generator")
    problem = Problem(
        id="p", question=entry["question"], gold=entry["answer"], group="p", split="test", payload=payload
    )
    said = [entry["answer"], f"0 + {entry['answer']}", "1", "no idea"]
    return [
        [*_grades(made, problem, said), _same(made, problem, [*said, "1.0", f" {entry['answer']}"])],
        _grades(made, _problem("1"), ["1"]),
    ]


@case("grader", "tests")
def of_tests() -> Any:
    """Programs for tests as a text and as a list; with a beginning that is shown; with limits; gold that is no test."""
    double = [
        "def double(x): return 2 * x",
        "def double(x): return x",
        "def double(x): return 1 / 0",
        "exit()",
        "",
        None,
    ]
    asked = [_graded(_grader("tests"), gold, double) for gold in ("assert double(2) == 4", '["assert double(3) == 6"]')]
    brought = {"given": 'def half(x):\n    """Of x."""\n', "check": "half", "setup": "two = 2"}
    tests = "def check(f):\n    assert f(two) == 1"
    shown = Problem(id="p", question="q", gold=tests, group="p", split="test", payload=json.dumps(brought))
    bodies: list[str | None] = ["    return x / 2", "def half(x):\n    return x / 2", "    return 2", "return x / 2"]
    slow: list[str | None] = ["def double(x):\n    while True: pass"]
    large: list[str | None] = ["def double(x):\n    return len(bytearray(300 << 20)) and 2 * x"]
    return [
        *asked,
        _grades(_grader("tests"), shown, bodies),
        _grades(_grader("tests", cpu_s=0.5), _problem("assert double(2) == 4"), slow),
        Settings(
            _grades(_grader("tests", **m), _problem("assert double(2) == 4"), large) for m in ({}, {"memory": 128})
        ),
        _grades(_grader("tests"), _problem("assert ("), double[:1]),
    ]


def _grader(name: str, **options: Any) -> Grader:
    made: Grader = GRADERS.get(name).model_validate({"uses": name, **options})
    return made


def _problem(gold: str) -> Problem:
    choices = ("bay", "bank") if gold == "B" else ()
    return Problem(id="p", question="q", gold=gold, group="p", split="test", choices=choices)


def _graded(made: Grader, gold: str, said: list[str | None]) -> list[Any]:
    problem = _problem(gold)
    return [*_grades(made, problem, said), _same(made, problem, [gold, *said])]


def _same(made: Grader, problem: Problem, said: list[str | None]) -> list[list[int]]:
    """What votes take for one answer: the pairs that are the same, by their numbers."""
    pairs = itertools.combinations(enumerate(text for text in said if text is not None), 2)
    return [[i, j] for (i, one), (j, other) in pairs if made.same(problem, one, other)]


def _grades(made: Grader, problem: Problem, answers: list[str | None]) -> list[Any]:
    grades = [made.grade(problem, Answer(answer)) for answer in answers]
    return [[str(grade.verdict), grade.reason, grade.score] for grade in grades]
