"""The shipped task configs: all of them build and say what they are; GSM8K, whose splits have files of their own. The
other benchmarks are tested in `tests/data_gen/benchmarks`, a file a family."""

from pathlib import Path
from typing import Any

import pytest

from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks.jsonl import Jsonl
from reasoning_train.recipe.benchmarks import FACTS, TABLE, benchmarks, read_benchmark, table_text
from tests.benchmark_data import ROOT, built, file, write_rows

CONFIGS = ROOT / "configs" / "tasks"


def gsm8k(i: int) -> dict[str, Any]:
    return {"question": f"What is {i} + 1?", "answer": f"It is {i}+1=<<{i}+1={i + 1}>>{i + 1}.\n#### {i + 1:,}"}


def test_gsm8k_deals_dev_from_train_and_reads_gold_behind_its_mark(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_rows(tmp_path / f"{split}.jsonl", (gsm8k(i + 9000 * (split == "test")) for i in range(300)))
    task = built("gsm8k", paths={split: tmp_path / f"{split}.jsonl" for split in ("train", "test")})
    problems = {split: list(task.problems(split)) for split in task.splits()}
    assert {split: len(found) for split, found in problems.items()} == {"dev": 200, "train": 100, "test": 300}
    for problem in (p for found in problems.values() for p in found):
        assert problem.gold is not None and problem.gold_steps
        assert task.grade(problem, Answer(problem.gold)).verdict is Verdict.CORRECT


def test_the_real_files_of_gsm8k() -> None:
    task = built("gsm8k", paths={split: file(f"gsm8k_{split}.jsonl") for split in ("train", "test")})
    rows = {split: list(task.problems(split)) for split in task.splits()}
    assert {split: len(problems) for split, problems in rows.items()} == {"dev": 200, "train": 7273, "test": 923}
    problems = [p for split in rows.values() for p in split]
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == len(problems)
    assert all(task.grade(p, Answer(p.gold)).verdict is Verdict.CORRECT for p in problems)


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_config_builds_and_says_what_it_is(config: Path) -> None:
    text, task, said = config.read_text(encoding="utf-8"), built(config.stem), read_benchmark(config)
    assert said.about.endswith((".", "?")) and task.splits() and "{question}" in task.format.prompt
    if config.stem != "chain":
        assert set(said.facts) == set(FACTS), f"write the lines {', '.join(FACTS)} at the top of {config.name}"
        assert said.grader == task.grader.uses
    if isinstance(task, Jsonl):
        assert "evaluation only" in said.facts["Use"] and "--set task.path" in text


def test_the_table_of_benchmarks_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table_text(), "run: python -m reasoning_train.recipe.benchmarks"
    assert len(benchmarks(CONFIGS.glob("*.yaml"))) >= 40


def test_what_a_file_says(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "# Mine: a | b.\n# Problems: 3\n# Other: 4\n# Use: one: two\ntask: {uses: jsonl}\n", encoding="utf-8"
    )
    found = read_benchmark(mine)
    assert (found.name, found.about, found.grader) == ("mine", "Mine: a | b.", "auto")
    assert found.facts == {"Problems": "3", "Use": "one: two"}
    mine.write_text("# Made here.\ntask: {uses: chain, grader: {uses: integer}}\n", encoding="utf-8")
    assert read_benchmark(mine).grader == "integer" and benchmarks([mine]) == []
    for other in ("", "- 1\n", "model: {}\n", "task: null\n"):
        mine.write_text(other, encoding="utf-8")
        assert read_benchmark(mine).grader == "" and benchmarks([mine]) == []
