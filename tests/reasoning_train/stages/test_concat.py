"""`concat` on rows made by hand: every kind, ids that stay unique, shares, limits, merged tasks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.records.trees import read_trees
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks.base import Task
from data_gen.tasks.merged import Merged
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES, GateError, Input
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.store.inputs import load_task, read_problems, read_tasks
from reasoning_train.store.rows import Rows
from reasoning_train.store.store import Artifact
from tests.data_gen.labelling.plant import answer, plant, step
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of, solution
from tests.reasoning_train.recipe.kitchen import load

EASY = {**CHAIN, "seed": 1}
YES_NO = {"uses": "jsonl", "path": "unread.jsonl", "split": {"train": None}}


def concat(bench: Bench, *sources: Any, name: str = "all", **config: Any) -> Artifact:
    return bench.make(name, "concat", sources=list(sources), **config)


def named(artifact: Artifact) -> list[tuple[str, int]]:
    return [(row["problem_id"], row["sample"]) for row in rows_of(artifact)]


def pool(bench: Bench, name: str, **counts: int) -> Ref:
    rows = [solution(p, f"{name} {p} {i}", sample=i, group=p) for p, n in counts.items() for i in range(n)]
    return bench.solutions(name, rows)


def test_rows_of_one_problem_come_together_and_keep_numbers_that_are_free(bench: Bench) -> None:
    first = bench.solutions("first", [solution("b", "one"), solution("a", "two"), solution("a", "three", sample=1)])
    second = bench.solutions("second", [solution("a", "four"), solution("a", "five", sample=7), solution("c", "six")])
    artifact = concat(bench, first, second)
    assert named(artifact) == [("b", 0), ("a", 0), ("a", 1), ("a", 2), ("a", 7), ("c", 0)]
    assert [row["completion"] for row in rows_of(artifact)] == ["one", "two", "three", "four", "five", "six"]
    assert artifact.manifest["outputs"]["data"]["kind"] == "solutions"
    assert artifact.manifest["metrics"]["sources"] == {"first": 3, "second": 3}
    assert (artifact.manifest["counts"]["in"], artifact.manifest["counts"]["out"]) == (6, 6)


def test_problems_keep_their_task_and_verdicts_go_to_it(bench: Bench) -> None:
    sums = bench.problems("sums", [problem("chain/train/0", "1 + 1?", gold="2")])
    asked = [problem("facts/train/0", "Is it?", gold="yes", task="facts")]
    facts = bench.given("facts", "t_problems", [row.to_row() for row in asked], tasks={"facts": YES_NO})
    artifact = concat(bench, sums, facts)
    source = Input(artifact.path / "data", "problems", artifact.manifest)
    assert read_tasks(source) == {"": CHAIN, "facts": YES_NO}
    task, (one, other) = load_task(source), read_problems(source)
    assert task.grade(one, Answer("2")).reason == "integer"
    assert task.grade(other, Answer("Yes.")).verdict is Verdict.CORRECT
    assert task.grade(one, Answer("yes")).reason == "not_an_integer"
    assert task.check_steps(other, ["so"]) is None


def test_merged_forwards_whatever_a_task_says_of_one_problem() -> None:
    of_a_problem = {
        name
        for name, method in vars(Task).items()
        if "problem" in getattr(getattr(method, "__code__", None), "co_varnames", ())[:2]
    }
    assert of_a_problem >= {"grade", "check_steps"}
    assert of_a_problem <= vars(Merged).keys()


def test_a_problem_of_an_unlisted_task_is_named() -> None:
    from data_gen.tasks.chain import Chain

    with pytest.raises(
        UserError, match=re.escape("Problem 'x' comes from task 'math', which its problem set does not")
    ):
        Merged(members={"": Chain(uses="chain")}).grade(problem("x", task="math"), Answer("1"))


def test_a_problem_that_comes_twice_stays_once(bench: Bench) -> None:
    one = bench.problems("one", [problem("p"), problem("q")])
    two = bench.problems("two", [problem("q"), problem("r")])
    artifact = concat(bench, one, two)
    assert [row["id"] for row in rows_of(artifact)] == ["p", "q", "r"]
    assert artifact.manifest["counts"]["dropped.duplicate"] == 1


def test_two_problems_under_one_id_are_refused(bench: Bench) -> None:
    one = bench.problems("one", [problem("p", group="here")])
    two = bench.problems("two", [problem("p", group="there")])
    with pytest.raises(UserError, match=re.escape("one and two have different problems under the id 'p'")):
        concat(bench, one, two)


def test_one_name_for_two_tasks_is_refused(bench: Bench) -> None:
    one = bench.problems("one", [problem("p")])
    two = bench.problems("two", [problem("q")], EASY)
    with pytest.raises(UserError, match="two comes from a task '' that differs from an earlier task of the same name"):
        concat(bench, one, two)


def test_trees_keep_their_nodes_and_get_numbers_of_their_own(bench: Bench) -> None:
    one = plant(step("a", answer(1)), answer(2), problem="p")
    other = plant(answer(1), problem="p")
    artifact = concat(bench, bench.trees("x", [one]), bench.trees("y", [other, plant(answer(1), problem="q")]))
    trees = list(read_trees(Rows(artifact.path / "data")))
    assert [(tree.problem_id, tree.sample, len(tree.nodes)) for tree in trees] == [
        ("p", 0, 4),
        ("p", 1, 2),
        ("q", 0, 2),
    ]
    assert trees[0].nodes == one.nodes
    assert artifact.manifest["outputs"]["data"]["kind"] == "trees"


def test_shares_make_the_largest_mixture_and_limits_come_first(bench: Bench) -> None:
    a, b = pool(bench, "a", p=10), pool(bench, "b", q=6)
    artifact = concat(bench, {"rows": a, "share": 2}, {"rows": b, "share": 1, "limit": 3})
    assert artifact.manifest["metrics"]["sources"] == {"a": 6, "b": 3}
    counts = artifact.manifest["counts"]
    assert (counts["in"], counts["dropped.limit"], counts["dropped.share"], counts["out"]) == (16, 3, 4, 9)
    assert named(artifact) == sorted(named(artifact))


def test_a_choice_depends_on_the_seed_and_no_choice_does_not() -> None:
    seeded = STAGES.get("concat").is_seeded
    config = STAGES.get("concat").config
    assert not seeded(config(sources=[Ref("a"), Ref("b")]))
    assert seeded(config(sources=[{"rows": Ref("a"), "limit": 3}]))


def test_a_source_that_a_share_empties_is_named(bench: Bench) -> None:
    a, b = pool(bench, "a", p=3), pool(bench, "b", q=3)
    with pytest.raises(GateError, match="concat: nothing is left of b. Raise its share or limit"):
        concat(bench, {"rows": a, "share": 9}, {"rows": b, "share": 1})


def test_too_few_rows_are_refused(bench: Bench) -> None:
    with pytest.raises(GateError, match="concat: 3 of kind solutions in all sources together, fewer than min_rows=4"):
        concat(bench, pool(bench, "a", p=3), min_rows=4)


COUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 3), min_size=1)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COUNTS, min_size=1, max_size=3), st.integers(0, 3))
def test_any_sources_give_unique_ids_all_rows_and_one_order(
    tmp_path: Path, sources: list[dict[str, int]], seed: int
) -> None:
    bench = Bench(tmp_path / str(len(list(tmp_path.iterdir()))))
    refs = [pool(bench, f"s{i}", **counts) for i, counts in enumerate(sources)]
    first, again = (concat(bench, *refs, name=name, seed=seed) for name in ("x", "y"))
    assert named(first) == named(again)
    assert len(named(first)) == len(set(named(first))) == sum(sum(counts.values()) for counts in sources)
    assert sorted(row["completion"] for row in rows_of(first)) == sorted(
        f"s{i} {p} {k}" for i, counts in enumerate(sources) for p, n in counts.items() for k in range(n)
    )
    problems = [name for name, _ in named(first)]
    assert [p for i, p in enumerate(problems) if i == 0 or problems[i - 1] != p] == list(dict.fromkeys(problems))


MIXED = """
    name: mixed
    task: {uses: chain, train: 4, steps: [1, 2]}
    tasks:
      hard: {uses: chain, train: 4, steps: [3, 4]}
      other: {uses: chain, train: 4, format: {answer_mark: "So: "}}
    stages:
      both: {uses: concat, sources: ["${task.train}", "${tasks.hard.train}"]}
      gold: {uses: gold, problems: "${stages.both}"}
      again: {uses: concat, sources: [{rows: "${stages.gold}", share: 1}, {rows: "${task.train.gold}", share: 2}]}
      kept: {uses: select, solutions: "${stages.again}"}
"""


def refusal(tmp_path: Path, *sets: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, MIXED, *sets)
    return str(caught.value)


def test_the_kind_of_the_output_is_that_of_the_sources(tmp_path: Path) -> None:
    nodes = load(tmp_path, MIXED).nodes
    assert (nodes["both"].seed, nodes["again"].seed) == (None, 0)
    message = refusal(tmp_path, "stages.kept.solutions='${stages.both}'")
    assert "expected solutions, but 'both' (a stage of type 'concat') gives problems" in message


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            '["${task.train}", "${task.train.gold}"]',
            "stages.both.sources.1: expected problems, as 'task.train' is, but 'task.train.gold' gives solutions",
        ),
        ('["${task.train}", "${tasks.other.train}"]', "stages.both.sources.1: Format mismatch: 'task.train' has"),
        (
            '["${task.train}", "${task.train}"]',
            "sources: 'task.train' is given twice; name it once and raise its share",
        ),
        (
            '["${task.train}", {rows: "${tasks.hard.train}", share: 2}]',
            "sources: some have a share and 'task.train' has none; give every source a share, or none",
        ),
        ("[]", "stages.both.sources: List should have at least 1 item"),
    ],
)
def test_what_does_not_go_together_is_told_at_load(tmp_path: Path, sources: str, message: str) -> None:
    assert message in refusal(tmp_path, f"stages.both.sources={sources}")


def test_ids_of_a_named_task_begin_with_its_name(bench: Bench) -> None:
    bench.make("own", "problems", task=CHAIN, split="train")
    hard = bench.make("hard", "problems", task=EASY, split="train", task_name="hard")
    assert rows_of(hard)[0]["id"] == "hard/chain/train/0"
    assert {row["task"] for row in rows_of(hard)} == {"hard"}
    merged = concat(bench, Ref("own"), Ref("hard"))
    assert len({row["id"] for row in rows_of(merged)}) == 48
    gold = bench.make("gold", "gold", problems=Ref("all"))
    assert [row["steps_ok"] for row in rows_of(gold)] == [True] * 48


def test_generators_mix_by_shares_and_each_scores_its_own(bench: Bench) -> None:
    tasks = {name: {"uses": "reasoning_gym", "generator": name, "train": 12} for name in ("chain_sum", "word_sorting")}
    for name, task in tasks.items():
        bench.make(name, "problems", task={**task, "measures": ["score"]}, split="train", task_name=name)
    mixed = concat(bench, {"rows": Ref("chain_sum"), "share": 3}, {"rows": Ref("word_sorting"), "share": 1})
    assert mixed.manifest["metrics"]["sources"] == {"chain_sum": 12, "word_sorting": 4}
    source = Input(mixed.path / "data", "problems", mixed.manifest)
    merged = load_task(source)
    for asked in read_problems(source):
        assert asked.gold is not None and merged.grade(asked, Answer(asked.gold)).score == 1
        assert merged.grade(asked, Answer("none of it")).verdict is Verdict.WRONG
        if (
            asked.task == "word_sorting"
        ):  # its raw reward is partial: every word in a place of its own is worth something
            words = asked.gold.split(", ")
            some = merged.grade(asked, Answer(", ".join([*words[:-2], words[-1], words[-2]]))).score
            assert some is not None and 0 < some < 1
