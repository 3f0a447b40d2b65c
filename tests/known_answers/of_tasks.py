"""Tasks: a few problems of each, and verdicts on answers to them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer
from data_gen.tasks import TASKS, Task
from tests.known_answers.cases import Settings, case


def shown(task: Task, split: str, answers: Sequence[str | None]) -> list[Any]:
    """The problems of a split, each with the verdicts on its own gold and on other answers."""
    return [[_problem(p), {str(a): _grade(task, p, a) for a in [p.gold, *answers]}] for p in task.problems(split)]


def _problem(problem: Problem) -> list[Any]:
    return [problem.id, problem.question, problem.gold, list(problem.gold_steps), problem.difficulty]


def _grade(task: Task, problem: Problem, answer: str | None) -> list[str]:
    grade = task.grade(problem, Answer(answer))
    return [str(grade.verdict), grade.reason]


@case("task", "chain")
def chain() -> Any:
    """Three generated problems; steps right, wrong and missing."""
    task = TASKS.get("chain").model_validate({"uses": "chain", "train": 3, "test": 1})
    train = list(task.problems("train"))
    gold = list(train[0].gold_steps)
    steps = [[], gold, ["1 + 1 = 3", *gold[1:]], [*gold, "1 + 1 = 2"]]
    checked = [list(task.check_steps(train[0], tried) or ()) for tried in steps]
    return {
        "train": shown(task, "train", ["0", "12.0", "x", None]),
        "test": shown(task, "test", []),
        "steps": checked,
        "splits": task.splits(),
    }


@case("task", "grammar")
def grammar() -> Any:
    """Right and wrong words of small and larger automata."""
    sizes = {"train": 3, "test": 2, "explore": 0, "dev": 0}
    dials: list[dict[str, Any]] = [{}, {"states": [3, 3], "letters": 3, "shown": 4, "length": [2, 5]}]
    tasks = [TASKS.get("grammar").model_validate({"uses": "grammar", **sizes, **more}) for more in dials]
    return Settings([{split: shown(task, split, ["yes", "no", None]) for split in ("train", "test")} for task in tasks])


@case("task", "jsonl")
def jsonl() -> Any:
    """Rows of a file, dealt to splits; numbers and LaTeX as gold. Then choices, own ids, a chat as question, and
    several solutions of one question."""
    rows = [
        {"question": f"What is {i} + 1?", "answer": f"{i} + 1 = {i + 1}\n#### {i + 1}"} for i in range(6)
    ] + [{"question": "Half?", "answer": "#### \\frac{1}{2}"}]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        settings = {"uses": "jsonl", "path": path, "answer_after": "#### ", "split": {"train": 2, "test": None}}
        task = TASKS.get("jsonl").model_validate(settings)
        dealt = {split: shown(task, split, ["2", "0.5", "1/2", "50\\%", None]) for split in ("train", "test")}
        return dealt | {"own": _own_ids(Path(folder) / "own.jsonl"), "joined": _joined(Path(folder))}


def _own_ids(path: Path) -> Any:
    chat = [{"role": "user", "content": "Where?"}]
    row = {"question": chat, "key": "zoo", "options": ["bank", "zoo"], "id": 3}
    rows = [{**row, "steps": "by bus"}, {**row, "steps": "on foot"}, {**row, "steps": "by bus"}, {**row, "key": 0}]
    path.write_text("".join(json.dumps(row | {"steps": row.get("steps")}) + "\n" for row in rows), encoding="utf-8")
    fields = {"answer": "key", "choices": "options", "id": "id", "steps": "steps"}
    settings = {"uses": "jsonl", "path": path, "fields": fields, "grader": "choice", "split": {"test": None}}
    task = TASKS.get("jsonl").model_validate(settings)
    [problem] = task.problems("test")
    return [shown(task, "test", []), [list(steps) for steps in problem.more_steps], dict(task.left_out("test"))]


def _joined(folder: Path) -> Any:
    """One story a question, hints by a list of keys, and the beginning of the solution."""
    stories = [{"title": "Soup", "text": "He eats."}, {"title": "Salt", "text": "He cooks."}]
    row = {
        "q": "Why?",
        "answer": "no",
        "title": "Soup",
        "keys": ["Salt", "Soup", "x"],
        "steps": [{"is": n} for n in "abcd"],
    }
    for name, rows in (("stories", stories), ("cases", [row])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    path = folder / "stories.jsonl"
    hints = {
        "path": path,
        "by": "keys",
        "key": "title",
        "show": "- {text}",
        "heading": "Hints:",
        "missing": "leave_out",
    }
    settings = {
        "path": folder / "cases.jsonl",
        "joins": {"story": {"path": path, "by": "title"}, "hints": hints},
        "fields": {"question": "{story.text} {q}\n{hints}", "answer": "answer", "steps": "steps.*.is"},
        "split": {"test": None},
    }
    begun: tuple[dict[str, Any], ...] = ({}, {"begun": {"share": 0.5}})
    tasks = [TASKS.get("jsonl").model_validate({"uses": "jsonl", **settings, **more}) for more in begun]
    return Settings([shown(task, "test", []) for task in tasks])


@case("task", "kinship")
def kinship() -> Any:
    """Short and long stories, with facts that do not matter; steps right and missing."""
    sizes = {"train": 3, "test": 2, "explore": 0, "dev": 0}
    dials: list[dict[str, Any]] = [
        {},
        {"relations": [2, 2], "test_relations": [5, 5], "held_out": 0.5},
        {"extra": 2, "shuffle": True},
    ]
    tasks = [TASKS.get("kinship").model_validate({"uses": "kinship", **sizes, **more}) for more in dials]
    [problem, *_] = tasks[1].problems("test")
    checked = [tasks[1].check_steps(problem, steps) for steps in (problem.gold_steps, problem.gold_steps[1:])]
    told = [{split: shown(task, split, ["aunt", None]) for split in ("train", "test")} for task in tasks]
    return {"told": Settings(told), "checked": checked}


@case("task", "reasoning_gym")
def reasoning_gym() -> Any:
    """Two problems of one of its generators."""
    settings = {"generator": "chain_sum", "train": 2, "dev": 0, "test": 1}
    task = TASKS.get("reasoning_gym").model_validate({"uses": "reasoning_gym", **settings})
    leveled = TASKS.get("reasoning_gym").model_validate({"uses": "reasoning_gym", **settings, "level": 3})
    made = {split: shown(task, split, ["1", None]) for split in ("train", "test")}
    return made | {"level": shown(leveled, "test", [])}


@case("task", "proofwriter")
def proofwriter() -> Any:
    """A statement that is given, one behind two rules, one whose contrary follows, one unknown, and a sentence that is
    of another form."""
    theory = "Bob is red. Red people are cold. If someone is cold then they are not kind."
    asked = ["Bob is red.", "Bob is not kind.", "Bob is kind.", "Bob is big."]
    rows = [{"context": theory, "question": f"True? {said}", "answer": "yes"} for said in asked]
    rows.append({"context": "It may rain.", "question": "Bob is red.", "answer": "no"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        settings = {"uses": "proofwriter", "path": path, "grader": "yes_no", "split": {"test": None}}
        task = TASKS.get("proofwriter").model_validate(settings)
        return [[p.question, p.gold, p.tags] for p in task.problems("test")]
