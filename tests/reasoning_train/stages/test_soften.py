"""`soften` and the distillation that reads it: tokens as by a plain pass, a student that becomes its teacher."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from data_gen.errors import UserError
from data_gen.records.solution import Solution
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.store.store import Artifact
from reasoning_train.worker.run_node import run_node
from tests.reasoning_train.bench import Bench, points, rows_of, solution

TEXTS = ("1 + 1 = 2\n", "1 + 1 = 3\n", "2 + 2 = 4\n")


@pytest.fixture
def kitchen(bench: Bench, one_thread: None) -> Bench:
    """A student, a teacher of other weights, and sampled solutions that share beginnings."""
    bench.model()
    bench.make("teacher", "model", seed=7, **bench.nodes["model"].config)
    codec, rows = bench.policy().codec, []
    for i, text in enumerate(TEXTS):
        one = solution(f"p{i // 2}", text + "Answer: 2")
        question = one.question or one.prompt
        prompt = tuple(codec.prompt_ids(question))
        segments = codec.encode(one.segments, end=True)
        asked = {"question": question, "prompt": codec.decode(prompt), "prompt_ids": prompt}
        rows.append(replace(one, sample=i, segments=segments, **asked))
    bench.solutions("kept", rows)
    return bench


def soften(bench: Bench, name: str = "soft", **config: Any) -> list[Solution]:
    made = bench.make(name, "soften", data=Ref("kept"), policy=Ref("teacher"), **config)
    return [Solution.from_row(row) for row in rows_of(made)]


def student(bench: Bench, name: str, **config: Any) -> Artifact:
    fixed: dict[str, Any] = {"learning_rate": 0.01, "batch_size": 3, "max_steps": 60, "data": Ref("soft")}
    return bench.make(name, "sft", **{"policy": Ref("model"), **fixed, **config})


def curve(artifact: Artifact) -> list[float]:
    return [point["loss"] for point in points(artifact) if "loss" in point]


def test_the_teachers_tokens_are_those_of_a_plain_pass(kitchen: Bench) -> None:
    """In trees, and a few tokens a pass; the second solution begins as the first does."""
    teacher = kitchen.policy("teacher").model
    for rows in (soften(kitchen, k=4), soften(kitchen, "few", k=4, micro_tokens=1)):
        for row in rows:
            ids = torch.tensor([[*row.prompt_ids, *row.token_ids]])
            with torch.no_grad():
                logp = teacher(ids).logits[0, len(row.prompt_ids) - 1 : -1].log_softmax(-1)
            largest = logp.topk(4)
            assert torch.equal(torch.tensor(row.teacher_ids), largest.indices)
            assert torch.allclose(torch.tensor(row.teacher_logprobs), largest.values, atol=1e-5)
    assert [row.text for row in rows] == [text + "Answer: 2" for text in TEXTS]


def test_what_was_recorded_before_a_kill_is_kept(kitchen: Bench) -> None:
    """One shard had ended and the other was killed in the middle of a record, so one problem is read again."""
    config: dict[str, Any] = {"data": Ref("kept"), "policy": Ref("teacher"), "micro_tokens": 1}
    whole = kitchen.make("whole", "soften", **config)
    kitchen.add("parts", "soften", **config)
    for k in range(2):
        run_node(kitchen.plan, "parts", kitchen.store, report=lambda event: None, shard=(k, 2))
    torn = kitchen.store.partial(kitchen.nodes["parts"]) / "log-0-of-2.jsonl"
    torn.write_bytes(torn.read_bytes()[:-40])
    parts = kitchen.run("parts")
    assert rows_of(parts) == rows_of(whole) and len(rows_of(parts)) == 3
    assert parts.manifest["counts"] == whole.manifest["counts"] == {"in": 3, "out": 3}


def test_solutions_beyond_the_context_are_counted(kitchen: Bench) -> None:
    long = [replace(row, prompt_ids=row.prompt_ids * 40) for row in soften(kitchen)[:1]]
    kitchen.solutions("long", [*long, *soften(kitchen, "again")[1:]])
    made = kitchen.make("some", "soften", data=Ref("long"), policy=Ref("teacher"))
    assert [row["sample"] for row in rows_of(made)] == [1, 2]
    assert made.manifest["counts"] == {"in": 3, "out": 2, "dropped.too_long": 1}


def test_a_student_comes_to_say_what_its_teacher_says(kitchen: Bench) -> None:
    soften(kitchen, k=8)
    made = student(kitchen, "student", losses=["sparse_kl"])
    found = curve(made)
    assert found[-1] < 0.1 * found[0]
    again = student(kitchen, "tree", losses=["sparse_kl"], packing="tree")
    assert curve(again) == pytest.approx(found, rel=1e-3)


def test_a_student_that_is_its_teacher_loses_nothing(kitchen: Bench) -> None:
    soften(kitchen, k=5)
    made = student(kitchen, "same", policy=Ref("teacher"), losses=["sparse_kl"], learning_rate=1e-9, max_steps=10)
    assert curve(made) == pytest.approx([0.0], abs=1e-5)


def test_what_is_refused(kitchen: Bench) -> None:
    with pytest.raises(GateError, match=r"3 of 3 rows have no teacher, which loss 'sparse_kl' reads\. Put a stage"):
        student(kitchen, "a", data=Ref("kept"), losses=["sparse_kl"])
    kitchen.solutions("texts", [solution("p0", "1 + 1 = 2\nAnswer: 2")])
    with pytest.raises(GateError, match="the solution of problem 'p0' has no token ids for the teacher to read"):
        kitchen.make("b", "soften", data=Ref("texts"), policy=Ref("teacher"))
    short = [replace(row, teacher_ids=row.teacher_ids[1:]) for row in soften(kitchen)]
    kitchen.solutions("changed", short)
    with pytest.raises(UserError, match=r"teacher_ids has \d+ entries for \d+ tokens. The solution was changed since"):
        student(kitchen, "c", data=Ref("changed"), losses=["sparse_kl"])
