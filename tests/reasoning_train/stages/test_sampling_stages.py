"""`sample` and `evaluate` with a fresh policy, which solves nothing, and one that has learned its problems by heart."""

from __future__ import annotations

import re
import signal
import time
from typing import Any

import pytest

from data_gen.conventions import TaskFormat
from data_gen.errors import UserError
from data_gen.records.problem import Problem
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.models.policy_text import load_policy_text
from reasoning_train.stages.evaluate import EvaluateConfig
from reasoning_train.store.table_row import TableRow
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of
from tests.reasoning_train.stages.test_sft import FEW, start_worker, train


@pytest.fixture
def learned(bench: Bench, one_thread: None) -> Bench:
    """`tuned` has learned the 4 problems of `gold.problems`."""
    bench.model()
    bench.gold(task=FEW)
    until = {"problems": Ref("gold.problems"), "accuracy": 1.0, "every": 20, "max_tokens": 40}
    train(bench, learning_rate=0.02, max_steps=400, schedule="constant", until=until)
    return bench


@pytest.fixture
def fresh(bench: Bench, one_thread: None) -> Bench:
    """`model` has learned nothing."""
    bench.model()
    bench.make("explore", "problems", task=CHAIN, split="explore")
    return bench


def test_samples_are_graded_and_counted(learned: Bench) -> None:
    artifact = learned.make(
        "s", "sample", policy=Ref("tuned"), problems=Ref("gold.problems"), n=3, temperature=0.3, max_tokens=40
    )
    rows = rows_of(artifact)
    assert [row["sample"] for row in rows] == [0, 1, 2] * 4
    metrics, counts = artifact.manifest["metrics"], artifact.manifest["counts"]
    right = [row for row in rows if row["verdict"] == "correct"]
    assert metrics["pass_rate"] == len(right) / 12 > 0
    assert metrics["solved_problems"] == len({row["problem_id"] for row in right})
    assert metrics["cut_share"] == sum(row["finish"] == "length" for row in rows) / 12
    assert ("warning" in metrics) == (metrics["cut_share"] > 0.02)
    assert metrics["wrong_step_share_of_correct"] == sum(not row["steps_ok"] for row in right) / len(right)
    assert counts["out"] == 12
    assert counts["tokens.generated"] == sum(len(s["token_ids"]) for row in rows for s in row["segments"])
    assert all(len(row["logprobs"]) == sum(len(s["token_ids"]) for s in row["segments"]) for row in rows)


def test_limit_takes_the_first_problems(learned: Bench) -> None:
    artifact = learned.make(
        "s", "sample", policy=Ref("tuned"), problems=Ref("gold.problems"), n=1, temperature=0.0, max_tokens=40, limit=2
    )
    assert [row["problem_id"] for row in rows_of(artifact)] == ["chain/train/0", "chain/train/1"]


def test_no_correct_sample_at_all_is_refused_with_the_pass_rate(fresh: Bench) -> None:
    with pytest.raises(
        GateError, match=re.escape("sample: 0 of 16 samples are correct (pass rate 0.0000, needed > 0")
    ) as caught:
        fresh.make("s", "sample", policy=Ref("model"), problems=Ref("explore"), n=2, max_tokens=3)
    assert re.search(r"1\d were cut by max_tokens=3\). Most samples were cut: raise max_tokens.", str(caught.value))
    assert re.search(r"The first wrong one: problem 'chain/explore/0', '.+', (length|stop), ", str(caught.value))


def test_min_solved_is_a_bar(learned: Bench) -> None:
    with pytest.raises(GateError, match=re.escape("needed >= min_solved=1.0; ")) as caught:
        learned.make(
            "s",
            "sample",
            policy=Ref("tuned"),
            problems=Ref("gold.problems"),
            n=8,
            temperature=3.0,
            max_tokens=40,
            min_solved=1.0,
        )
    assert "of 32 samples are correct" in str(caught.value)


def test_a_set_with_nothing_right_is_published_where_the_recipe_says_so(fresh: Bench) -> None:
    how = {"policy": Ref("model"), "problems": Ref("explore"), "n": 2, "max_tokens": 3}
    metrics = fresh.make("s", "sample", **how, min_solved=0.0).manifest["metrics"]
    assert (metrics["pass_rate"], metrics["solved_problems"]) == (0.0, 0)


def test_questions_alone_can_be_sampled_on(fresh: Bench) -> None:
    task = {"uses": "jsonl", "fields": {"answer": None}}
    nothing = fresh.problems("nothing", [problem("a", gold=None), problem("b", gold=None)], task)
    artifact = fresh.make("s", "sample", policy=Ref("model"), problems=nothing, n=2, max_tokens=3)
    assert [row["verdict"] for row in rows_of(artifact)] == ["unverifiable"] * 4
    metrics = artifact.manifest["metrics"]
    assert metrics["unverifiable_share"] == 1.0 and not metrics.keys() & {"pass_rate", "solved_problems"}
    with pytest.raises(GateError, match=r"no sample can be verified, so min_solved=0\.1 cannot be checked"):
        fresh.make("u", "sample", policy=Ref("model"), problems=nothing, n=2, max_tokens=3, min_solved=0.1)
    some = fresh.problems("some", [problem("a", gold=None), problem("b")])
    with pytest.raises(GateError, match="sample: 1 of 2 problems cannot be verified"):
        fresh.make("t", "sample", policy=Ref("model"), problems=some, n=2, max_tokens=3)


def test_without_gold_no_problem_can_be_verified(fresh: Bench) -> None:
    nothing = fresh.problems("nothing", [problem("a", gold=None), problem("b", gold=None)])
    with pytest.raises(
        GateError,
        match=r"sample: 2 of 2 problems cannot be .* The first unverifiable one: problem 'a', '.*', \w+, no_gold",
    ):
        fresh.make("s", "sample", policy=Ref("model"), problems=nothing, n=2, max_tokens=3)


def test_gold_that_is_missing_or_cannot_be_parsed_counts_as_neither_right_nor_wrong(learned: Bench) -> None:
    known = rows_of(learned.run("gold.problems"))
    rows = [
        Problem.from_row({**row, "gold": gold})
        for row, gold in zip(known, (known[0]["gold"], "???", None), strict=False)
    ]
    problems = learned.problems("mixed", rows, task={"uses": "jsonl"})
    how = {"problems": problems, "max_tokens": 40}
    with pytest.raises(GateError, match=r"sample: 2 of 3 problems cannot be .*; max_unverifiable=0.05 allows"):
        learned.make("s", "sample", policy=Ref("tuned"), n=2, temperature=0.0, **how)
    how |= {"max_unverifiable": 0.7}
    sampled = learned.make("s", "sample", policy=Ref("tuned"), n=2, temperature=0.0, **how)
    assert [(row["verdict"], row["reason"]) for row in rows_of(sampled)][::2] == [
        ("correct", "integer"),
        ("unverifiable", "bad_gold"),
        ("unverifiable", "no_gold"),
    ]
    assert sampled.manifest["metrics"]["unverifiable_share"] == pytest.approx(2 / 3)
    kept = learned.make("kept", "select", solutions=Ref("s"), keep="any", dedupe="none")
    assert kept.manifest["counts"] == {"in": 6, "out": 2, "dropped.unverifiable": 4}
    evaluated = learned.make("eval", "evaluate", policies={"tuned": Ref("tuned")}, **how).manifest
    assert evaluated["counts"]["dropped.unverifiable"] == 2
    assert evaluated["metrics"]["summary"]["problems"] == 1
    with pytest.raises(GateError, match=r"evaluate: 2 of 3 problems cannot be verified"):
        learned.make("most", "evaluate", policies={"tuned": Ref("tuned")}, problems=problems, max_tokens=40)
    assert evaluated["metrics"]["summary"]["policies"]["tuned"]["accuracy"][0] == 1.0


def test_a_task_with_another_format_is_refused(fresh: Bench) -> None:
    other = fresh.problems("other", [problem("a")], {**CHAIN, "format": {"answer_mark": "So: "}})
    with pytest.raises(
        UserError, match="policy model has answer_mark='Answer: ', problems other has answer_mark='So: '"
    ):
        fresh.make("s", "sample", policy=Ref("model"), problems=other, n=1, max_tokens=3)


def test_evaluation_pairs_policies_and_reports_intervals(learned: Bench) -> None:
    config: dict[str, Any] = {"problems": Ref("gold.problems"), "samples": 4, "max_tokens": 40}
    artifact = learned.make("eval", "evaluate", policies={"base": Ref("model"), "tuned": Ref("tuned")}, **config)
    rows, summary = rows_of(artifact), artifact.manifest["metrics"]["summary"]
    assert [row["policy"] for row in rows] == ["base"] * 4 + ["tuned"] * 4
    assert summary["problems"] == 4
    assert set(summary["policies"]["base"]) == {"accuracy", "tokens", "cut", "trace", "pass@1", "pass@4", "maj@4"}
    assert summary["policies"]["tuned"]["accuracy"][0] == 1.0
    base = summary["policies"]["base"]["accuracy"][0]
    assert summary["differences"]["tuned"]["accuracy"][0] == pytest.approx(1.0 - base)
    assert artifact.manifest["metrics"]["table"]["rows"][1][0] == "tuned"
    assert all(len(row["sampled_answers"]) == 4 for row in rows)
    assert all(
        answer is None or f"Answer: {answer}" in text
        for row in rows
        for text, answer in zip(row["sampled_solutions"], row["sampled_answers"], strict=True)
    )
    assert any(text for row in rows for text in row["sampled_solutions"])
    assert all(row["answer"] is None for row in rows if row["cut"])
    # The same random numbers serve every policy, so a policy evaluated under two names gets equal rows.
    twice = rows_of(learned.make("twice", "evaluate", policies={"one": Ref("tuned"), "two": Ref("tuned")}, **config))
    assert [{**row, "policy": ""} for row in twice[:4]] == [{**row, "policy": ""} for row in twice[4:]]
    assert [{**row, "policy": "tuned"} for row in twice[:4]] == rows[4:]


def test_evaluation_has_columns_for_measures_and_groups(learned: Bench) -> None:
    """A policy that has learnt its four problems: steps as in gold, grouped by their number; `where` takes some."""
    known = [Problem.from_row(row) for row in rows_of(learned.run("gold.problems"))]
    config: dict[str, Any] = {
        "policies": {"tuned": Ref("tuned")},
        "problems": learned.problems("asked", known, CHAIN),
        "columns": {"": {"measures": ["steps"]}},
        "max_tokens": 40,
    }
    made = learned.make("eval", "evaluate", by=["difficulty"], **config)
    for row, one in zip(map(TableRow.from_row, rows_of(made)), known, strict=True):
        assert row.measures == {"steps": float(len(one.gold_steps))} and row.tags == one.tags
    metrics = made.manifest["metrics"]
    assert metrics["summary"]["lower"] == ["steps"] and "steps ↓" in metrics["table"]["columns"]
    assert sum(group["problems"] for group in metrics["summary"]["groups"]["difficulty"].values()) == 4
    hardest = max(one.difficulty or 0.0 for one in known)
    some = rows_of(learned.make("some", "evaluate", where={"difficulty": hardest}, **config))
    assert [row["problem_id"] for row in some] == [one.id for one in known if one.difficulty == hardest]


def test_evaluation_of_nothing_verifiable_is_refused(fresh: Bench) -> None:
    nothing = fresh.problems("nothing", [problem("a", gold=None)])
    with pytest.raises(GateError, match="evaluate: 1 of 1 problems cannot be verified"):
        fresh.make("e", "evaluate", policies={"base": Ref("model")}, problems=nothing, max_tokens=3)


def test_ks_beyond_the_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"every k must lie in 1..samples=4, got \[8\]"):
        EvaluateConfig(policies={"a": Ref("m")}, problems=Ref("p"), samples=4, ks=[8])


REVISE = {"uses": "revise", "chains": 2, "turns": 2, "template": "{asked}\n{attempts}"}


@pytest.mark.slow
@pytest.mark.parametrize("program", [{"uses": "solve"}, REVISE], ids=["solve", "revise"])
def test_killed_sampling_continues_to_the_same_rows(learned: Bench, program: dict[str, Any]) -> None:
    task = {**FEW, "explore": 600}
    learned.make("explore", "problems", task=task, split="explore")
    n = 8 if program["uses"] == "solve" else 2
    config: dict[str, Any] = {"policy": Ref("tuned"), "problems": Ref("explore"), "n": n, "max_tokens": 40}
    config |= {"program": program, "calls": "keep"}
    learned.add("s", "sample", **config)
    node = learned.nodes["s"]
    for wanted in (10, 200):
        process = start_worker(learned, "s")
        end = time.monotonic() + 120
        while learned.recorded("s") < wanted and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        assert process.poll() is None, "the stage ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert learned.store.find(node) is None
    resumed = learned.run("s")
    undisturbed = learned.make("again", "sample", **config)
    assert resumed.manifest["attempts"] == 3
    assert rows_of(resumed) == rows_of(undisturbed)
    assert resumed.manifest["metrics"] == undisturbed.manifest["metrics"]


def test_the_task_asks_by_its_own_conventions_where_the_recipe_says_so(learned: Bench) -> None:
    """The policy learned bare questions and writes `Answer: `; the task asks with a word more and reads no mark."""
    known = rows_of(learned.run("gold.problems"))
    rows = [problem(row["id"], row["question"], row["gold"]) for row in known]
    own = {"prompt": "How {question}", "answer_mark": "is ", "extract": ["mark"]}
    asked = learned.problems("asked", rows, {"uses": "jsonl", "path": "x", "split": {"test": None}, "format": own})
    config = {"policies": {"tuned": Ref("tuned")}, "problems": asked, "max_tokens": 40}
    found = {
        whose: rows_of(learned.make(whose, "evaluate", **config, conventions=whose)) for whose in ("policy", "task")
    }
    assert [row["answer"] for row in found["policy"]] == [row["gold"] for row in known]
    assert [row["answer"] for row in found["task"]] == [None] * 4


def test_a_policy_under_another_tasks_conventions_keeps_its_model_half_and_its_ends(learned: Bench) -> None:
    text = load_policy_text(learned.store.open(learned.nodes["tuned"]).path / "model")
    other = text.under(TaskFormat(prompt="How {question}", answer_mark="is "))
    assert text.codec.prompt_text("many?") == "many?\n" and other.codec.prompt_text("many?") == "How many?\n"
    assert (other.format.model, other.codec.end_ids) == (text.format.model, text.codec.end_ids)
    assert other.format.task.answer_mark == "is " and text.format.task.answer_mark == "Answer: "
