"""What an artifact says of evaluated problems that were learned from: in its manifest, its table, its card, the claim
on it, the terminal, READMEs and the report page."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from launch.execute import _print_tables
from reasoning_train.api.refs import Ref
from reasoning_train.evaluation.report.gather import artifact_views
from reasoning_train.evaluation.report.markdown import markdown_table
from reasoning_train.evaluation.report.page import artifact_page, write_page
from reasoning_train.process.streams import Output
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import CHAIN, Bench, problem
from tests.reasoning_train.evaluation.rows import rows

TABLE = {"title": "2 problems", "columns": ["policy"], "rows": [["tuned"]]}
WORDS = "Ana has 37 coins and Ben has 8 more than Ana so how many has Ben now"
ASKED = [("a", "How many has Ana?"), ("b", WORDS), ("c", "小明有三个苹果，他又买了五个苹果，请问一共有多少个？")]
ROWS = {"uses": "jsonl"}


def table(bench: Bench, *learned: str, notes: tuple[str, ...] = ()) -> Artifact:
    """A table on `test` of policies that learned from some nodes."""
    bench.add("eval", "t_evaluation", rows=[{"policy": "tuned", "accuracy": 1.0}], metrics={"table": TABLE})
    bench.nodes["eval"] = replace(bench.nodes["eval"], inputs=("test",), learned_from=learned, notes=notes)
    return bench.run("eval")


def overlap(bench: Bench, **learned: tuple[list[str], dict[str, Any]]) -> list[tuple[Any, ...]]:
    for name, (texts, task) in learned.items():
        bench.problems(name, [problem(f"{name}/{i}", question=text) for i, text in enumerate(texts)], task)
    found = table(bench, *learned).manifest["metrics"]["overlap"]
    return [(one["learned_from"], one["overlapping"], one["problems"], one["by"]) for one in found]


def test_every_pair_is_counted(bench: Bench) -> None:
    bench.problems("test", [problem(name, question=text) for name, text in ASKED], ROWS)
    found = overlap(
        bench,
        train=(["Something else", f"He says: {WORDS}!"], ROWS),
        other=([ASKED[2][1].replace("请问", "请你说说，请问"), "how many has ANA"], ROWS),
        none=(["Nothing at all"], ROWS),
    )
    by = "13 words in a row"
    assert found == [("train", 1, 3, by), ("other", 2, 3, by), ("none", 0, 3, by)]


def test_problems_of_one_template_overlap_only_as_a_whole(bench: Bench) -> None:
    bench.problems("test", [problem(name, question=text) for name, text in ASKED], CHAIN)
    assert overlap(bench, train=([f"He says: {WORDS}!", ASKED[0][1]], CHAIN)) == [("train", 1, 3, "the whole text")]


def test_problems_that_are_gone_are_told(bench: Bench) -> None:
    bench.problems("test", [problem("a")], ROWS)
    bench.add("train", "t_problems", rows=[])
    artifact = table(bench, "train")
    assert artifact.manifest["metrics"]["overlap"] == [
        {"evaluated": "test", "learned_from": "train", "overlapping": None, "problems": 1}
    ]
    [view] = artifact_views({"eval": artifact})
    assert view.overlap == [
        "test with train: not checked, since the problems that were learned from are in the store no more"
    ]


def test_without_overlap_and_leak_a_table_is_as_it_was(bench: Bench) -> None:
    bench.problems("test", [problem("a")], ROWS)
    manifest = table(bench).manifest
    assert (manifest["metrics"]["table"], manifest["metrics"]["overlap"], manifest["notes"]) == (TABLE, [], [])


def test_notes_reach_everything_that_shows_the_table(bench: Bench, tmp_path: Path) -> None:
    bench.problems("test", [problem(name, question=text) for name, text in ASKED], ROWS)
    bench.problems("train", [problem("t", question=WORDS)], ROWS)
    leak = "tuned trains on problems of the split 'test': task.test -> tuned; the recipe allows it: an upper bound"
    artifact = table(bench, "train", notes=(leak,))
    overlapping = "1 of 3 problems of test overlap (13 words in a row) with train, which was learned from"
    assert artifact.manifest["notes"] == artifact.manifest["metrics"]["table"]["notes"] == [leak, overlapping]
    assert f"- {leak}\n- {overlapping}\n" in (artifact.path / "README.md").read_text(encoding="utf-8")
    assert f"\nNote: {leak}.\n\nNote: {overlapping}.\n" in markdown_table(artifact.manifest["metrics"]["table"])
    printed = io.StringIO()
    _print_tables(bench.plan, bench.store, Output(printed))
    assert printed.getvalue().endswith(f"{leak}\n{overlapping}\n")
    page = tmp_path / "page.html"
    write_page(artifact_page({"eval": artifact}, "t", ""), page)
    text = page.read_text(encoding="utf-8")
    assert "an upper bound" in text and "test with train: 1 of 3 (13 words in a row)" in text


def test_a_claim_repeats_what_its_tables_say(bench: Bench) -> None:
    bench.problems("test", [problem("a")], ROWS)
    told = rows("base", [False, True] * 10) + rows("tuned", [True] * 20)
    bench.add("eval", "t_evaluation", rows=told)
    bench.nodes["eval"] = replace(bench.nodes["eval"], notes=("tuned trains on test",))
    bench.run("eval")
    form = {"uses": "difference", "better": "tuned", "than": "base"}
    manifest = bench.make("claim", "claim", table=[Ref("eval")], form=form).manifest
    assert manifest["notes"] == manifest["metrics"]["table"]["notes"] == ["tuned trains on test"]
