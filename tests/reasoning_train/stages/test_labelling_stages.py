"""The labelling stages on trees made by hand: rows, counts, histograms, gates, and what they refuse."""

from __future__ import annotations

import re
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.records.labels import StepPair, ValueTarget
from data_gen.records.solution import Solution
from data_gen.records.trees import Tree
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.store.store import Artifact
from tests.data_gen.labelling.plant import answer, cut, plant, rollout, step
from tests.data_gen.search.toy import LETTERS
from tests.reasoning_train.bench import Bench, rows_of

WORDS = [*LETTERS, "go", "Answer", ":", "0", "1"]


def forest(n: int = 3) -> list[Tree]:
    """Two trees for each of `n` problems."""
    shape = (
        step("a", answer(1, visits=1, total=1.0), answer(0, visits=1), visits=4, total=3.0),
        step("b", answer(0, visits=1), visits=2, total=0.5),
        rollout("ac", 1),
        answer("a", None),
        cut("d e"),
    )
    return [plant(*shape, problem=f"p{i}", sample=sample) for i in range(n) for sample in range(2)]


@pytest.fixture
def grown(bench: Bench) -> Bench:
    """`trees` and the policy `model` that could have grown them."""
    bench.model(vocabulary=WORDS)
    bench.trees("trees", forest(), trees={"solved": 1.0, "informative_siblings": 0.5})
    return bench


def label(bench: Bench, uses: str, name: str = "labels", trees: str = "trees", **config: Any) -> Artifact:
    return bench.make(name, uses, trees=Ref(trees), policy=Ref("model"), **config)


PAIRS = {"uses": "best_sibling"}


def test_paths_become_solutions_to_train_on(grown: Bench, one_thread: None) -> None:
    artifact = label(grown, "sft_paths", paths={"correct": 2, "wrong": 1})
    rows = [Solution.from_row(row) for row in rows_of(artifact)]
    assert [(row.problem_id, row.verdict, row.weight) for row in rows[:3]] == [
        ("p0", "correct", 1.0),
        ("p0", "correct", 1.0),
        ("p0", "wrong", 0.0),
    ]
    assert {row.text for row in rows if row.verdict == "correct"} == {"a\nAnswer: 1", "a\nc\nAnswer: 1"}
    assert artifact.manifest["counts"] == {
        "in": 36,
        "out": 9,
        "dropped.unverifiable": 6,
        "dropped.cut_by_length_limit": 6,
        "dropped.duplicate": 12,
        "dropped.max_per_problem": 3,
    }
    assert artifact.manifest["metrics"]["labels"] == {
        "title": "verdicts of the rows",
        "bars": [["correct", 6], ["wrong", 3]],
    }
    tuned = grown.make(
        "tuned", "sft", policy=Ref("model"), data=Ref("labels"), learning_rate=0.01, batch_size=3, max_steps=4
    )
    assert tuned.manifest["metrics"]["steps"] == 4
    assert (tuned.manifest["counts"]["out"], tuned.manifest["counts"]["dropped.weight_0"]) == (6, 3)


def test_pairs_and_where_they_stand(grown: Bench) -> None:
    artifact = label(grown, "step_pairs", pairs=PAIRS)
    pairs = [StepPair.from_row(row) for row in rows_of(artifact)]
    assert [(p.problem_id, p.tree, p.chosen, p.rejected) for p in pairs[:2]] == [
        ("p0", 0, "a\n", "b\n"),
        ("p0", 0, "Answer: 1", "Answer: 0"),
    ]
    assert artifact.manifest["counts"] == {"in": 6, "out": 12}
    assert artifact.manifest["metrics"]["mean_margin"] == 0.75
    assert artifact.manifest["metrics"]["pairs_by_depth"] == {"0": 6, "1": 6}
    assert artifact.manifest["metrics"]["labels"]["bars"][5] == ["0.5 to 0.6", 6]
    assert artifact.manifest["metrics"]["labels"]["bars"][9] == ["0.9 to 1", 6]


def test_a_limit_on_the_pairs_of_a_tree_is_counted(grown: Bench) -> None:
    artifact = label(grown, "step_pairs", pairs=PAIRS, max_per_tree=1)
    assert artifact.manifest["counts"] == {"in": 6, "out": 6, "dropped.max_per_tree": 6}


def test_values_along_paths(grown: Bench) -> None:
    artifact = label(grown, "value_targets", targets={"uses": "q", "scale": "p"})
    rows = [ValueTarget.from_row(row) for row in rows_of(artifact)]
    assert {row.outcome for row in rows} == {0.0, 1.0}
    assert rows[0].values == (0.75, 1.0)
    counts = artifact.manifest["counts"]
    assert counts["in"] == 36 and counts["out"] == len(rows) and counts["targets"] == sum(len(row.at) for row in rows)
    assert counts["dropped.unverifiable"] == 6
    metrics = artifact.manifest["metrics"]
    assert metrics["informed_targets"] == sum(n >= 2 for row in rows for n in row.n_eff) / counts["targets"]
    hard = [label for row in rows for label in row.labels if label is not None]
    assert metrics["right_share_of_steps"] == sum(hard) / len(hard)
    bars = metrics["labels"]["bars"]
    assert sum(n for _, n in bars) == counts["targets"]


@pytest.mark.parametrize(
    ("uses", "config"),
    [
        ("sft_paths", {"paths": {"correct": 1}}),
        ("step_pairs", {"pairs": {"uses": "best_sibling", "rejected": "random"}, "max_per_tree": 1}),
        ("value_targets", {"targets": {"uses": "outcome"}, "paths": {"correct": 1, "wrong": 1}}),
    ],
)
def test_choices_follow_from_the_seed(grown: Bench, uses: str, config: dict[str, Any]) -> None:
    trees = [
        plant(
            *(step(f"{x} {y}", answer(int(x < "d")), visits=2, total=float(x < "d")) for x in "abcdef" for y in "ab"),
            problem=f"p{i}",
        )
        for i in range(5)
    ]
    grown.trees("wide", trees)
    same, again, other = (
        rows_of(label(grown, uses, f"l{seed}{i}", "wide", seed=seed, **config)) for i, seed in enumerate((1, 1, 2))
    )
    assert same == again != other


def test_no_trees_are_refused_with_what_is_known_of_them(grown: Bench) -> None:
    grown.trees("none", [])
    with pytest.raises(
        GateError, match=re.escape("step_pairs: 0 pairs, fewer than min_rows=1. Share of the siblings in the trees of")
    ):
        label(grown, "step_pairs", trees="none", pairs=PAIRS)
    with pytest.raises(GateError, match="sft_paths: 0 right solutions in the trees of none"):
        label(grown, "sft_paths", "l2", trees="none")
    with pytest.raises(GateError, match="value_targets: 0 rows"):
        label(grown, "value_targets", "l3", trees="none", targets={"uses": "outcome"})


def test_labels_of_one_class_are_refused(grown: Bench) -> None:
    grown.trees("wrong", [plant(step("a", answer(0, visits=1)), visits=1)])
    with pytest.raises(
        GateError,
        match=(
            r"value_targets: 0 of 2 step targets are right .*Use easier problems.* The first that is wrong: problem "
            r"'"
        ),
    ):
        label(grown, "value_targets", trees="wrong", targets={"uses": "outcome"})
    grown.trees("right", [plant(step("a", answer(1, visits=1)), visits=1)])
    with pytest.raises(
        GateError,
        match=(
            r"value_targets: 0 of 2 step targets are wrong .*Use harder problems.* The first that is right: problem "
            r"'"
        ),
    ):
        label(grown, "value_targets", "l2", trees="right", targets={"uses": "outcome"})
    with pytest.raises(GateError, match="paths.wrong=4 asks for wrong solutions too, and the trees of right hold none"):
        label(grown, "sft_paths", "l3", trees="right", paths={"wrong": 4})


def test_a_share_of_the_rarer_class_can_be_asked_for(grown: Bench) -> None:
    with pytest.raises(GateError, match=r"share 0\.\d+, needed > 0 and >= min_share=0.49"):
        label(grown, "value_targets", targets={"uses": "outcome"}, paths={"correct": 1, "wrong": 4}, min_share=0.49)


def test_trees_of_another_scale_are_refused_by_name(grown: Bench) -> None:
    grown.trees(
        "ranked",
        [plant(step("a", answer(1), visits=1, total=3.0), step("b", answer(0), visits=1, total=-1.0), scale="ranking")],
    )
    with pytest.raises(
        UserError, match=r"value_targets: the trees of ranked cannot be used.*'ranking' cannot be read as 'signed'"
    ):
        label(grown, "value_targets", trees="ranked", targets={"uses": "q"})
    with pytest.raises(
        UserError, match=r"step_pairs: the trees of ranked cannot be used.*'ranking' cannot be read as 'p'"
    ):
        label(grown, "step_pairs", "l2", trees="ranked", pairs=PAIRS)
    assert len(rows_of(label(grown, "step_pairs", "l3", trees="ranked", pairs={**PAIRS, "scale": "ranking"}))) == 1


def test_the_policy_of_other_trees_is_noticed(grown: Bench) -> None:
    grown.model("other", vocabulary=["x", *WORDS])
    with pytest.raises(
        UserError,
        match=r"policy: the token ids of a step of tree 'p0' decode to .* Give the policy that grew the trees",
    ):
        grown.make("l", "sft_paths", trees=Ref("trees"), policy=Ref("other"))


def test_unknown_rules_name_the_known_ones() -> None:
    from reasoning_train.stages.step_pairs import StepPairsConfig
    from reasoning_train.stages.value_targets import ValueTargetsConfig

    with pytest.raises(ValueError, match="'best_sibling', 'first_error', 'margin', 'top_bottom', 'whole'"):
        StepPairsConfig(trees=Ref("t"), policy=Ref("m"), pairs={"uses": "worst"})
    with pytest.raises(ValueError, match="'mc', 'outcome', 'prefix_ratio', 'progress', 'q'"):
        ValueTargetsConfig(trees=Ref("t"), policy=Ref("m"), targets={"uses": "tvm"})


def total(artifact: Artifact, record: type[StepPair | ValueTarget]) -> float:
    return sum(record.from_row(row).trained_tokens for row in rows_of(artifact))


@pytest.mark.parametrize(
    ("uses", "record", "config"),
    [
        ("step_pairs", StepPair, {"pairs": PAIRS}),
        ("value_targets", ValueTarget, {"targets": {"uses": "q"}, "multiplicity": "unique"}),
    ],
)
def test_arms_are_equal_by_reference(
    grown: Bench, uses: str, record: type[StepPair | ValueTarget], config: dict[str, Any]
) -> None:
    grown.trees("few", forest(1))
    few = label(grown, uses, "small", "few", **config)
    rows = label(grown, uses, "rows", as_many_as=Ref("small"), **config)
    assert len(rows_of(rows)) == len(rows_of(few)) < len(rows_of(label(grown, uses, "all", **config)))
    assert rows.manifest["counts"]["out"] == len(rows_of(few))
    tokens = label(grown, uses, "tokens", as_many_tokens_as=Ref("small"), **config)
    longest = max(record.from_row(row).trained_tokens for row in rows_of(tokens))
    assert abs(total(tokens, record) - total(few, record)) <= longest / 2
    assert tokens.manifest["metrics"]["trained_tokens"] == pytest.approx(total(tokens, record))
    order = [(row["problem_id"], row["tree"]) for row in rows_of(tokens)]
    assert order == sorted(order)


def test_too_few_pairs_to_be_as_many_say_what_to_change(grown: Bench) -> None:
    grown.trees("few", forest(1))
    label(grown, "step_pairs", "many", pairs=PAIRS)
    with pytest.raises(
        GateError, match="step_pairs: as_many_as=many asks for 12 rows, but only 4 are left. Raise `max_per_tree` here"
    ):
        label(grown, "step_pairs", "few pairs", "few", pairs=PAIRS, as_many_as=Ref("many"))
