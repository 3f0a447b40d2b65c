"""`evaluate_steps` through the worker: exact figures of exact scorers, verifiers and judges for real, and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from data_gen.errors import UserError
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.verifiers.checkpoint import load_verifier
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.evaluation.first_error_tables import Marked
from reasoning_train.evaluation.first_errors import harmonic, predicted
from reasoning_train.stages.evaluate_steps import cost
from reasoning_train.stages.evaluate_steps_config import EvaluateStepsConfig
from reasoning_train.stages.step_scores import prefixes_of
from reasoning_train.store.inputs import read_problems
from reasoning_train.store.store import Artifact
from reasoning_train.trainers.score import score_solutions
from tests.reasoning_train.bench import Bench, problem, rows_of, solution
from tests.reasoning_train.stages.chain_faults import FAULTS, labelled, write
from tests.reasoning_train.stages.test_train_verifier import train

FORM = {"uses": "listed", "question": "problem", "first_wrong": "label", "tags": {"generator": "generator"}}
ON_TEST: dict[str, Any] = {"problems": Ref("test"), "solutions": Ref("test_marked"), "policy": Ref("model")}
DEV = {"problems": Ref("dev"), "solutions": Ref("dev_marked")}
ORACLE: dict[str, Any] = {"scorers": {"exact": "exact_steps"}, "gold": True}


@pytest.fixture
def faults(kitchen: Bench, tmp_path: Path) -> Bench:
    """Labelled solutions of dev and test problems: of 20 on test 13 have a fault."""
    for split in ("dev", "test"):
        kitchen.make(split, "problems", task=FAULTS, split=split)
        path = write(tmp_path / f"{split}.jsonl", labelled(split))
        kitchen.make(f"{split}_marked", "import_steps", problems=Ref(split), path=str(path), form=FORM)
    return kitchen


def figures(made: Artifact, name: str) -> dict[str, Any]:
    """Values without their intervals."""
    found = made.manifest["metrics"]["first_errors"][name]
    return {key: one[0] if isinstance(one, list) else one for key, one in found.items()}


def first_wrong(bench: Bench, name: str = "test_marked") -> list[tuple[int, int]]:
    """(first wrong step, steps) of every solution."""
    rows = [Solution.from_row(row) for row in rows_of(bench.store.open(bench.nodes[name]))]
    return [(row.first_wrong if row.first_wrong is not None else -1, len(row.steps)) for row in rows]


def test_the_estimate_has_calls_only_where_their_number_is_known() -> None:
    def sizes(ref: Ref) -> dict[str, int]:
        return {"parameters": 1000, "rows": 5}

    exact = cost(EvaluateStepsConfig(**ON_TEST, **ORACLE, limit=4), cast("Any", sizes))
    assert exact.pop("memory_bytes") > 4000 and exact == {"rows": 4 * 3, "calls": 0, "tokens": 0}
    judge = {"scorers": {"judge": {"uses": "step_judge", "max_tokens": 8}, "exact": "exact_steps"}, "gold": True}
    judged = cost(EvaluateStepsConfig(**ON_TEST, **judge), cast("Any", sizes))
    assert judged.keys() == {"memory_bytes", "rows"} and judged["rows"] == 5 * 4
    assert cost(EvaluateStepsConfig(**ON_TEST, **ORACLE), cast("Any", lambda ref: {})) == {"calls": 0, "tokens": 0}


def test_exact_steps_finds_every_fault_and_constants_have_closed_forms(faults: Bench) -> None:
    scorers = {
        "exact": "exact_steps",
        "sure": {"uses": "constant", "value": 0.9},
        "doubts": {"uses": "constant", "value": 0.1},
    }
    made = faults.make(
        "measured", "evaluate_steps", **ON_TEST, **{**ORACLE, "scorers": scorers}, by=["generator", "steps"]
    )
    marks = first_wrong(faults)
    at_once = sum(first == 0 for first, _ in marks) / 13
    never = {"on_wrong": 0.0, "on_right": 1.0, "f1": 0.0, "wrong": 13, "right": 7}
    always = {**never, "on_wrong": at_once, "on_right": 0.0}
    assert figures(made, "exact") == {**never, "on_wrong": 1.0, "f1": 1.0}
    assert figures(made, "sure") == figures(made, 'always "no error"') == never
    assert figures(made, "doubts") == figures(made, "always the first step") == always and at_once > 0
    table = made.manifest["metrics"]["table"]
    assert [row[0] for row in table["rows"]] == [
        'always "no error"',
        "always the first step",
        "exact (oracle)",
        "sure",
        "doubts",
    ]
    assert table["title"].startswith("13 solutions with an error, 7 without")
    by_generator, by_steps = made.manifest["metrics"]["by"]
    assert [row[:3] for row in by_generator["rows"][::5]] == [["g0", "6", "4"], ["g1", "7", "3"]]
    assert {row[0] for row in by_steps["rows"]} == {"1", "2", "3", "4"}
    rows = [row for row in rows_of(made) if row["policy"] == "exact"]
    assert len(rows) == 20 and all(row["accuracy"] == 1 and row["gold"] == row["answer"] for row in rows)
    summary = made.manifest["metrics"]["summary"]
    assert summary["policies"]["exact"]["f1"][0] == 1 and summary["policies"]["doubts"]["on_wrong"][0] == at_once
    assert summary["shares"] == ["f1", "on_right", "on_wrong"] and summary["oracle"] == ["exact"]


def test_a_claim_compares_figures_over_all_solutions(faults: Bench) -> None:
    """`doubts` finds the errors of first steps alone, and no sound solution; `exact` finds everything."""
    scorers = {"exact": "exact_steps", "doubts": {"uses": "constant", "value": 0.1}}
    made = faults.make("measured", "evaluate_steps", **ON_TEST, **{**ORACLE, "scorers": scorers})
    own = made.manifest["metrics"]["first_errors"]["doubts"]
    form = {"uses": "difference", "better": "exact", "than": "doubts"}
    names = ["f1", "on_wrong", "on_right"]
    found = faults.make("claim", "claim", table=[Ref("measured")] * 5, form=form, metrics=names).manifest["metrics"]
    assert found["verdict"] == "supported" and (found["problems"], found["left_out"]) == (20, 0)
    gains = {one["metric"]: one["estimate"] for one in found["comparisons"]}
    assert {name: gain[0] for name, gain in gains.items()} == {name: pytest.approx(1 - own[name][0]) for name in names}
    assert gains["on_right"][1:] == [pytest.approx(1 - 2 * 3.8415 / (7 + 3.8415), abs=1e-3), 1.0]


def test_dev_is_not_taken_for_what_is_measured(faults: Bench) -> None:
    """The threshold was chosen on dev, and the test problems are compared with it; dev itself is not evaluated."""
    faults.add("measured", "evaluate_steps", **ON_TEST, **ORACLE, dev=DEV)
    faults.nodes["measured"] = replace(faults.nodes["measured"], learned_from=("dev",))
    [found] = faults.run("measured").manifest["metrics"]["overlap"]
    assert (found["evaluated"], found["learned_from"], found["overlapping"]) == ("test", "dev", 0)


def test_solutions_without_labels_are_labelled_by_the_task(faults: Bench) -> None:
    rows = [Solution.from_row(row) for row in rows_of(faults.store.open(faults.nodes["test_marked"]))]
    bare = [Solution.from_row({**row.to_row(), "step_labels": []}) for row in rows]
    asked = {**ON_TEST, "solutions": faults.solutions("bare", bare)}
    made = faults.make("measured", "evaluate_steps", **asked, **ORACLE)
    assert figures(made, "exact") == {"on_wrong": 1.0, "on_right": 1.0, "f1": 1.0, "wrong": 13, "right": 7}


def test_open_labels_are_counted_and_left_out(faults: Bench) -> None:
    rows = [Solution.from_row(row) for row in rows_of(faults.store.open(faults.nodes["test_marked"]))]
    odd = [Solution.from_row({**rows[0].to_row(), "step_labels": [None] * len(rows[0].steps)}), *rows[1:]]
    made = faults.make("measured", "evaluate_steps", **{**ON_TEST, "solutions": faults.solutions("odd", odd)}, **ORACLE)
    assert figures(made, "exact")["right"] == 6
    assert made.manifest["counts"] == {"dropped.evaluated.unlabelled": 1, "out": 19}
    with pytest.raises(
        GateError, match="the labels of 1 of 20 solutions of odd leave open which step is the first wrong"
    ):
        faults.make("strict", "evaluate_steps", **{**ON_TEST, "solutions": Ref("odd")}, **ORACLE, max_unverifiable=0.01)


def test_a_verifier_is_read_at_every_step_and_its_threshold_is_chosen_on_dev(faults: Bench) -> None:
    """Against the verifier's values of whole solutions, thresholds tried one by one."""
    train(faults, name="prm")
    scorers = {"prm": {"scorer": "head", "verifier": Ref("prm")}}
    made = faults.make("measured", "evaluate_steps", **ON_TEST, scorers=scorers, dev=DEV)
    fixed = faults.make("fixed", "evaluate_steps", **ON_TEST, scorers=scorers, threshold=0.3)
    codec, verifier = faults.policy().codec, load_verifier(faults.store.open(faults.nodes["prm"]).path / "verifier")
    values, firsts = dict[str, list[list[float]]](), dict[str, list[int]]()
    for split in ("dev", "test"):
        rows = [Solution.from_row(row) for row in rows_of(faults.store.open(faults.nodes[f"{split}_marked"]))]
        by_id = {p.id: p for p in read_problems(_input(faults, split))}
        asked = [(by_id[row.problem_id], [_encoded(row, codec)]) for row in rows]
        values[split] = [
            list(own[0][: len(row.steps)])
            for row, (_, _, own) in zip(rows, score_solutions(verifier, codec, asked), strict=True)
        ]
        firsts[split] = [first for first, _ in first_wrong(faults, f"{split}_marked")]

    def f1(split: str, threshold: float) -> float:
        said = [predicted(own, threshold) == first for own, first in zip(values[split], firsts[split], strict=True)]
        wrong = [first < len(own) for own, first in zip(values[split], firsts[split], strict=True)]
        shares = [[hit for hit, bad in zip(said, wrong, strict=True) if bad is kind] for kind in (True, False)]
        return harmonic(*(sum(own) / len(own) for own in shares))

    chosen = made.manifest["metrics"]["thresholds"]["prm"]
    edges = sorted({value for own in values["dev"] for value in own})
    assert f1("dev", chosen) == pytest.approx(max(f1("dev", edge) for edge in [*edges, 2.0]))
    assert figures(made, "prm")["f1"] == pytest.approx(f1("test", chosen))
    assert figures(fixed, "prm")["f1"] == pytest.approx(f1("test", 0.3))
    assert fixed.manifest["metrics"]["thresholds"] == {"prm": 0.3}
    assert "(dev)" in next(row["strategy"] for row in rows_of(made) if row["policy"] == "prm")
    assert all(row["tokens"] > 0 for row in rows_of(made) if row["policy"] == "prm")


def _input(bench: Bench, name: str) -> Any:
    from reasoning_train.api.stage import Input

    made = bench.store.open(bench.nodes[name])
    return Input(made.path / next(iter(made.manifest["outputs"])), "problems", made.manifest)


def _encoded(row: Solution, codec: Any) -> Solution:
    return replace(
        row, segments=codec.encode(row.segments, end=False), prompt_ids=tuple(codec.prompt_ids(row.question))
    )


def test_judges_and_rollouts_are_measured(faults: Bench) -> None:
    """Of a fresh model no verdict can be read, which is an even chance; rollouts need gold and are charged."""
    judge = {"uses": "step_judge", "max_tokens": 4}
    scorers = {"judge": judge, "rollouts": {"uses": "rollouts", "m": 2, "max_length": 64}}
    made = faults.make("judged", "evaluate_steps", **ON_TEST, scorers=scorers, dev=DEV, gold=True, limit=6)
    found = {row["policy"]: row for row in rows_of(made)}
    assert found["judge"]["tokens"] > 0 and found["rollouts"]["tokens"] > 0
    assert figures(made, "judge").keys() >= {"on_wrong", "on_right", "f1"}
    again = faults.make("again", "evaluate_steps", **ON_TEST, scorers=scorers, dev=DEV, gold=True, limit=6)
    assert rows_of(again) == rows_of(made)


def test_prefixes_end_with_their_steps(kitchen: Bench) -> None:
    """Token ids of a prefix are those of its text, a step may hold the delimiter, and the answer line is no step."""
    from data_gen.records.segment import Segment

    codec = kitchen.policy().codec
    texts = [(Kind.STEP, "1 + 1 = 2\n"), (Kind.STEP, "2 + 1 = 3\n"), (Kind.ANSWER, "Answer: 3")]
    row = solution("p", "", segments=tuple(Segment(kind=kind, text=text) for kind, text in texts))
    first, second = prefixes_of(Marked(problem("p"), row, 2), codec)
    assert codec.decode(first.token_ids).strip() == "1 + 1 = 2" and first.steps == ("1 + 1 = 2",)
    assert codec.decode(second.token_ids).startswith(codec.decode(first.token_ids)) and not second.ended
    assert second.ends == (len(first.token_ids) - 1, len(second.token_ids) - 1)
    assert second.prompt_ids == tuple(codec.prompt_ids(problem("p").question))
    other = solution("p", "", segments=row.segments, prompt_ids=(1, 2))
    with pytest.raises(UserError, match="continue another prompt than this policy's"):
        prefixes_of(Marked(problem("p"), other, 2), codec)


def test_what_cannot_be_measured_is_told(faults: Bench) -> None:
    with pytest.raises(ValueError, match="gold: scorer 'exact' needs gold; set `gold: true`"):
        EvaluateStepsConfig(**ON_TEST, scorers={"exact": "exact_steps"})
    with pytest.raises(ValueError, match="verifier: scorer 'head' reads a checkpoint"):
        EvaluateStepsConfig(**ON_TEST, scorers={"prm": "head"})
    with pytest.raises(ValueError, match="'always the first step' is a row that every table has"):
        EvaluateStepsConfig(**ON_TEST, scorers={"always the first step": "constant"})
    with pytest.raises(ValueError, match="nothing is drawn here. Use `head`"):
        EvaluateStepsConfig(**ON_TEST, scorers={"v": "joint"})
    clean = [Solution.from_row(row) for row in rows_of(faults.store.open(faults.nodes["dev_marked"]))]
    clean = [row for row in clean if row.first_wrong == len(row.steps)]
    one_kind = {"problems": Ref("dev"), "solutions": faults.solutions("clean", clean)}
    with pytest.raises(
        GateError, match="0 of the 4 solutions of dev have an error; expected some with and some without"
    ):
        faults.make("measured", "evaluate_steps", **ON_TEST, **ORACLE, dev=one_kind)
    with pytest.raises(UserError, match="by: no solution has a tag 'colour'"):
        faults.make("coloured", "evaluate_steps", **ON_TEST, **ORACLE, by=["colour"])
    kitchen_rows = [solution("q0", "1 + 1 = 2\n", question="Ana has 12 coins. How many has Ana?")]
    faults.problems("unlabelled", [problem("q0")], {"uses": "jsonl", "path": "x.jsonl", "split": {"test": None}})
    asked = {**ON_TEST, "problems": Ref("unlabelled"), "solutions": faults.solutions("plain", kitchen_rows)}
    with pytest.raises(GateError, match="no solution of plain says which step is the first wrong one"):
        faults.make("nothing", "evaluate_steps", **asked, scorers={"c": "constant"})


def test_scales_without_a_threshold_need_dev(faults: Bench) -> None:
    """A pairwise head ranks; there is no number below which a step is wrong."""
    faults.verifier("ranker", head={"activation": "none", "scale": "ranking"})
    scorers = {"ranker": {"scorer": "head", "verifier": Ref("ranker")}}
    with pytest.raises(GateError, match=r"scorers.ranker: its values are of scale 'ranking', which has no threshold"):
        faults.make("measured", "evaluate_steps", **ON_TEST, scorers=scorers)
    made = faults.make("chosen", "evaluate_steps", **ON_TEST, scorers=scorers, dev=DEV)
    assert figures(made, "ranker")["wrong"] == 13
