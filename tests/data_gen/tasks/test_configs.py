"""The shipped task configs: each reads rows of its source's shape, and the whole source where it lies beside the
repository."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks import TASKS, Task

ROOT = Path(__file__).parents[3]
CONFIGS = sorted((ROOT / "configs/tasks").glob("*.yaml"))
DATA = ROOT.parent / "shared/data"
OPTIONS = [
    {"label": letter, "text": text}
    for letter, text in zip("ABCDE", ("bank", "library", "zoo", "mall", "moon"), strict=True)
]
ROWS: dict[str, Any] = {
    "multiarith": lambda i: {"input": f"Ana has {i} coins and finds 2. How many has she?", "target": i + 2},
    "gsm8k": lambda i: {
        "question": f"What is {i} + 1?",
        "answer": f"It is {i}+1=<<{i}+1={i + 1}>>{i + 1}.\n#### {i + 1}",
    },
    "svamp": lambda i: {
        "ID": f"chal-{i}",
        "Body": f"Dan had {i} dollars",
        "Question": "How many has he?",
        "Answer": float(i),
    },
    "math500": lambda i: {
        "problem": f"Find ${i}/3$.",
        "answer": f"\\frac{{{i}}}{{3}}",
        "solution": "It is.",
        "unique_id": f"test/{i}",
        "subject": "Algebra",
        "level": 1 + i % 5,
    },
    "aqua": lambda i: {
        "question": f"{i}?",
        "options": ["A)1", "B)2", "C)3", "D)4", "E)5"],
        "rationale": "As is.\nB",
        "correct": "B",
    },
    "strategyqa": lambda i: {
        "qid": f"q{i}",
        "question": f"Is {i} even?",
        "answer": i % 2 == 0,
        "facts": ["Even numbers end in 0."],
    },
    "commonsenseqa": lambda i: {
        "id": f"c{i}",
        "answerKey": "C",
        "question": {"stem": f"Where is lion {i}?", "choices": OPTIONS},
    },
}
REAL: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "multiarith": ({"path": "mawps_multiarith.jsonl"}, {}),
    "gsm8k": ({"paths": {"train": "gsm8k_train.jsonl", "test": "gsm8k_test.jsonl"}}, {"train": 7273, "test": 923}),
    "svamp": ({"path": "svamp.jsonl"}, {"test": 800}),
    "aqua": ({"path": "aqua_dev.jsonl"}, {"test": 254}),
    "strategyqa": ({"path": "strategyqa_dev.jsonl"}, {"test": 229}),
    "commonsenseqa": ({"path": "commonsenseqa_dev.jsonl"}, {"test": 1221}),
}
"""Files by setting, and the rows of the splits that take what the dealt ones leave."""


def built(name: str, **settings: Any) -> Task:
    config = yaml.safe_load((ROOT / f"configs/tasks/{name}.yaml").read_text(encoding="utf-8"))["task"]
    return TASKS.get(config["uses"]).model_validate({**config, **settings})


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_the_sources_shape(name: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(ROWS[name](i)) + "\n" for i in range(600)), encoding="utf-8")
    task = built(name, path=file)
    for split in task.splits():
        problems = list(task.problems(split))
        assert problems
        for problem in problems[:20]:
            assert problem.gold is not None and task.grade(problem, Answer(problem.gold)).verdict is Verdict.CORRECT
            assert bool(problem.gold_steps) == (name in ("gsm8k", "math500", "aqua", "strategyqa"))
            assert bool(problem.tags) == (name == "math500")
            assert bool(problem.choices) == (name in ("aqua", "commonsenseqa")) == ("(B) " in problem.question)


@pytest.mark.skipif(not DATA.exists(), reason="the real files are not beside the repository")
@pytest.mark.parametrize("name", REAL)
def test_the_real_files(name: str) -> None:
    files, rest = REAL[name]
    given = {
        k: str(DATA / v) if isinstance(v, str) else {s: str(DATA / f) for s, f in v.items()} for k, v in files.items()
    }
    task = built(name, **given)
    rows = {split: list(task.problems(split)) for split in task.splits()}
    assert {split: len(problems) for split, problems in rows.items()} == {**task.splits(), **rest}
    problems = [p for split in rows.values() for p in split]
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == len(problems)
    assert all(task.grade(p, Answer(p.gold)).verdict is Verdict.CORRECT for p in problems)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: p.stem)
def test_every_config_builds_and_says_where_its_problems_come_from(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    task = built(config.stem)
    assert text.startswith("# ") and task.splits() and "{question}" in task.format.prompt
    assert task.uses == "chain" or (("--set task.path" in text and "evaluation" in text) or config.stem == "multiarith")
