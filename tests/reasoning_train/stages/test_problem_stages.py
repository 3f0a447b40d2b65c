"""`problems`, `gold` and `decontaminate`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from data_gen.overlap import grams, words
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen"


def test_problems_writes_the_split_and_its_task(bench: Bench) -> None:
    artifact = bench.make("test", "problems", task=CHAIN, split="test")
    rows = rows_of(artifact)
    assert len(rows) == 8 == len({row["id"] for row in rows})
    assert {row["split"] for row in rows} == {"test"}
    [(name, task)] = json.loads((artifact.path / "data" / "tasks.json").read_text()).items()
    assert name == "" and CHAIN.items() <= task.items()
    assert artifact.manifest["counts"] == {"out": 8}
    assert artifact.manifest["metrics"]["disjoint_splits"] is True


def test_an_empty_split_is_refused(bench: Bench) -> None:
    with pytest.raises(GateError, match="task.dev: the split 'dev' of task 'chain' has no rows"):
        bench.make("dev", "problems", task={**CHAIN, "dev": 0}, split="dev")


def test_rows_without_gold_are_counted(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"q": "1 + 1?", "a": "2"}\n{"q": "Why?", "a": null}\n', encoding="utf-8")
    task = {"uses": "jsonl", "path": str(file), "fields": {"question": "q", "answer": "a"}, "split": {"train": None}}
    artifact = bench.make("train", "problems", task=task, split="train")
    assert artifact.manifest["counts"] == {"out": 2, "unverifiable.no_gold": 1}


def test_several_solutions_of_a_question_become_rows_of_gold(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    told = [("1 + 1?", "1 + 1 = 2", 2), ("3?", "3", 3), ("1 + 1?", "2 = 1 + 1", 2), ("3?", "3", 3), ("3?", "4", 4)]
    rows = [{"question": question, "steps": steps, "answer": answer} for question, steps, answer in told]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {"uses": "jsonl", "path": str(file), "fields": {"steps": "steps"}, "split": {"train": None}}
    artifact = bench.make("train", "problems", task=task, split="train")
    dropped = {"dropped.repeated": 1, "dropped.other_answer": 1}
    assert artifact.manifest["counts"] == {"in": 4, "out": 2, "further_solutions": 1, **dropped}
    made = rows_of(bench.make("gold", "gold", problems=Ref("train")))
    assert [(row["problem_id"], row["sample"], row["completion"]) for row in made] == [
        ("path/0", -1, "1 + 1 = 2\nAnswer: 2"),
        ("path/0", -2, "2 = 1 + 1\nAnswer: 2"),
        ("path/1", -1, "3\nAnswer: 3"),
    ]
    [first, second] = rows_of(bench.make("answers", "gold", problems=Ref("train"), steps="none"))
    assert (first["completion"], second["completion"]) == ("Answer: 2", "Answer: 3")


def test_a_task_without_uses_or_of_unknown_kind_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="task: `uses` is missing. Known: chain, "):
        bench.make("a", "problems", task={}, split="train")
    with pytest.raises(ValueError, match="Unknown task 'chian'. Did you mean 'chain'?"):
        bench.make("b", "problems", task={"uses": "chian"}, split="train")


def test_gold_writes_worked_steps_and_the_marked_answer(bench: Bench) -> None:
    bench.problems(
        "train", [problem("p", gold="20", gold_steps=("12 + 8 = 20",)), problem("q"), problem("r", gold=None)]
    )
    artifact = bench.make("gold", "gold", problems=Ref("train"))
    [row] = rows_of(artifact)
    assert row["completion"] == "12 + 8 = 20\nAnswer: 20"
    assert [segment["kind"] for segment in row["segments"]] == ["step", "answer"]
    assert (row["verdict"], row["finish"], row["steps_ok"], row["answer"]) == ("correct", "gold", True, "20")
    assert artifact.manifest["counts"] == {"in": 3, "out": 1, "dropped.no_steps": 1, "dropped.no_gold": 1}


def test_gold_follows_the_tasks_format(bench: Bench) -> None:
    task = {**CHAIN, "format": {"step_delimiter": " ; ", "answer_mark": "Result = "}}
    bench.problems("train", [problem("p", gold="20", gold_steps=("12 + 8 = 20",))], task)
    [row] = rows_of(bench.make("gold", "gold", problems=Ref("train")))
    assert row["completion"] == "12 + 8 = 20 ; Result = 20"


def test_gold_of_problems_without_steps_is_refused(bench: Bench) -> None:
    bench.problems("train", [problem("p")])
    with pytest.raises(GateError, match="train: no problem has gold and worked steps, so there is nothing to imitate"):
        bench.make("gold", "gold", problems=Ref("train"))


@pytest.mark.parametrize(
    ("steps", "texts"),
    [("none", ["Answer: 20", "Answer: 12"]), ("optional", ["12 + 8 = 20\nAnswer: 20", "Answer: 12"])],
)
def test_gold_may_be_answers_alone(bench: Bench, steps: str, texts: list[str]) -> None:
    bench.problems(
        "train", [problem("p", gold="20", gold_steps=("12 + 8 = 20",)), problem("q"), problem("r", gold=None)]
    )
    artifact = bench.make("gold", "gold", problems=Ref("train"), steps=steps)
    assert [row["completion"] for row in rows_of(artifact)] == texts
    assert [segment["kind"] for segment in rows_of(artifact)[1]["segments"]] == ["answer"]
    assert rows_of(artifact)[1]["steps_ok"] is None
    assert artifact.manifest["counts"] == {"in": 3, "out": 2, "dropped.no_gold": 1}


def decontaminate(
    bench: Bench, train: list[str], held_out: dict[str, list[str]], promise: bool = False, **config: Any
) -> Artifact:
    against = []
    for name, questions in held_out.items():
        rows = [problem(f"{name}/{i}", question) for i, question in enumerate(questions)]
        against.append(bench.problems(name, rows, disjoint_splits=promise))
    bench.problems("train", [problem(f"p{i}", question) for i, question in enumerate(train)], disjoint_splits=promise)
    return bench.make("clean", "decontaminate", problems=Ref("train"), against=against, **config)


def ids(artifact: Artifact) -> list[str]:
    return [row["id"] for row in rows_of(artifact)]


def test_a_shared_run_of_13_words_is_a_hit_and_12_are_none(bench: Bench) -> None:
    train = [f"Before. {LONG.upper()}! After", f"Before {LONG.rsplit(' ', 1)[0]} other end", "something else"]
    artifact = decontaminate(bench, train, {"test": [f"Some other start: {LONG}?"], "svamp": ["nothing in common"]})
    assert ids(artifact) == ["p1", "p2"]
    assert artifact.manifest["metrics"]["hits"] == {"test": 1, "svamp": 0}
    assert artifact.manifest["counts"] == {"in": 3, "out": 2, "dropped.contaminated": 1}
    assert json.loads((artifact.path / "data" / "tasks.json").read_text()) == {"": CHAIN}


def test_a_question_shorter_than_n_matches_whole(bench: Bench) -> None:
    artifact = decontaminate(bench, ["How many APPLES, 7?", "So: how many apples 7"], {"test": ["how many apples: 7"]})
    assert ids(artifact) == ["p1"]


def test_report_counts_and_drops_nothing(bench: Bench) -> None:
    artifact = decontaminate(bench, [LONG, "other"], {"test": [LONG]}, policy="report")
    assert ids(artifact) == ["p0", "p1"]
    assert artifact.manifest["metrics"]["hits"] == {"test": 1}
    assert "dropped.contaminated" not in artifact.manifest["counts"]


def test_exact_compares_whole_questions_of_disjoint_splits(bench: Bench) -> None:
    artifact = decontaminate(
        bench, [LONG, LONG + " 5", LONG.upper() + "!"], {"test": [LONG]}, promise=True, match="exact"
    )
    assert ids(artifact) == ["p1"]
    assert artifact.manifest["metrics"]["disjoint_splits"] is True


def test_exact_is_refused_where_splits_may_overlap(bench: Bench) -> None:
    with pytest.raises(
        GateError,
        match="match=exact is for tasks whose splits are disjoint by construction; test does not promise that",
    ):
        decontaminate(bench, ["a"], {"test": ["b"]}, match="exact")


def test_a_wholly_contaminated_split_is_refused(bench: Bench) -> None:
    with pytest.raises(
        GateError, match=re.escape("every row of train repeats a problem of test. Train on another split.")
    ):
        decontaminate(bench, [LONG], {"test": [LONG]})


def test_words_and_grams_by_hand() -> None:
    assert words("Don't pay $1,234.50_x!") == ["don", "t", "pay", "1", "234", "50", "x"]
    assert grams("a b c d", 3) == {"a b c", "b c d"}
    assert grams("a b", 3) == {"a b"}
