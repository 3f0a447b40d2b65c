"""The file with a run's verdicts, and the matrix of methods that is written from such files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from launch.runs import RunFolder
from reasoning_train.evaluation.report import matrix
from reasoning_train.evaluation.report.results import read_results, write_result
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.evaluation.rows import row


def claimed(bench: Bench, **more: Any) -> Path:
    """The folder of a run whose claim is that `tuned`, right on 4 of 4 problems, exceeds `base`, right on none."""
    rows = [row(name, f"p{i}", name == "tuned") for name in ("base", "tuned") for i in range(4)]
    table = bench.given("eval", "t_evaluation", rows)
    form = {"uses": "difference", "better": "tuned", "than": "base"}
    bench.make("claim", "claim", table=[table], form=form, **more)
    return run_of(bench)


def run_of(bench: Bench) -> Path:
    folder = RunFolder(bench.store, bench.plan)
    folder.state["command"] = ["reasoning-train", "run", "x/bench.yaml", "--store", "/private", "--set", "seeds=[0,1]"]
    for name in bench.nodes:
        folder.node(name, state="ran")
    folder.close("done", 1.0)
    return folder.path


def test_a_result_says_what_was_found_and_how_to_find_it_again(bench: Bench, tmp_path: Path) -> None:
    run = claimed(bench, method="Tuning, arXiv 1", says="Tuning helps.")
    path = tmp_path / "result.json"
    write_result(run, bench.store, path)
    [result] = read_results(path)
    [claim] = result["claims"]
    assert (result["recipe"], result["command"]) == ("bench", "reasoning-train run bench.yaml --set seeds=[0,1]")
    assert (claim["method"], claim["claim"], claim["stage"]) == ("Tuning, arXiv 1", "Tuning helps.", "claim")
    assert (claim["effect"], claim["interval"][1]) == (1.0, 1.0) and claim["interval"][0] > 0
    assert (claim["seeds"], claim["problems"], claim["control"]) == (1, 4, None)
    assert claim["verdict"] == "1 of 5 seeds, no verdict"
    assert [one["all seeds"] for one in claim["comparisons"]] == ["+100.0 [+2.0, +100.0]"]
    assert "/private" not in path.read_text()


def test_words_that_a_claim_does_not_bring_are_the_recipes(bench: Bench, tmp_path: Path) -> None:
    run, path = claimed(bench), tmp_path / "result.json"
    write_result(run, bench.store, path)
    assert (read_results(path)[0]["claims"][0]["method"], read_results(path)[0]["claims"][0]["claim"]) == ("bench", "")


def test_results_of_other_recipes_stay(bench: Bench, tmp_path: Path) -> None:
    run, path = claimed(bench), tmp_path / "result.json"
    path.write_text(json.dumps([{"recipe": "bench", "claims": []}, {"recipe": "other", "claims": []}]))
    write_result(run, bench.store, path)
    assert [(one["recipe"], len(one["claims"])) for one in read_results(path)] == [("other", 0), ("bench", 1)]


def test_a_run_without_a_claim_has_no_result(bench: Bench, tmp_path: Path) -> None:
    bench.given("eval", "t_evaluation", [row("base", "p0", True)])
    with pytest.raises(UserError, match="no stage `claim` has finished in this run"):
        write_result(run_of(bench), bench.store, tmp_path / "result.json")
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("text", ["[{", "{}", "[1]", '[{"recipe": "a"}]'])
def test_another_file_is_no_result_and_stays(text: str, bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"result\.json: (the file cannot be read|expected a list of results)"):
        write_result(claimed(bench), bench.store, path)
    assert path.read_text() == text


def test_the_matrix_in_recipes_is_current() -> None:
    assert matrix.TABLE.read_text(encoding="utf-8") == matrix.table_text(), (
        "run: python -m reasoning_train.evaluation.report.matrix"
    )


def test_a_row_a_claim(tmp_path: Path) -> None:
    found = [
        ("a - b", "accuracy", "> 0", "+2.0 [+1.0, +3.0]", "supported"),
        ("c - b", "f1", "> 1", "0.0 [-1.0, +1.0]", "not resolved"),
        ("a - c", "f1", "", "+9.0 [+8.0, +9.5]", "not claimed"),
    ]
    columns = ("comparison", "metric", "claimed", "all seeds", "verdict")
    comparisons = [dict(zip(columns, one, strict=True)) for one in found]
    claim = {"stage": "claim", "method": "M|N", "claim": "It helps.", "verdict": "not resolved"}
    claim |= {"seeds": 5, "problems": 40}
    results = [{"recipe": "m", "commit": "0123456789", "claims": [{**claim, "comparisons": comparisons}]}]
    for name in ("mine", "unmeasured"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text("")
    (tmp_path / "mine" / "result.json").write_text(json.dumps(results))
    text = matrix.table_text(tmp_path)
    assert (
        "| M\\|N | It helps. | [mine](mine/README.md) `claim` | a - b > 0: +2.0 [+1.0, +3.0] (supported); "
        "c - b in f1 > 1: 0.0 [-1.0, +1.0] (not resolved) | 5 x 40 | not resolved | 0123456 |\n"
    ) in text
    assert text.endswith("Without a verdict on record, or without a claim: [unmeasured](unmeasured/README.md).\n")
