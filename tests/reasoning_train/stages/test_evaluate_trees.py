"""Strategies from stored trees: rows by hand, subsets, budgets, what is refused, and the way through search and
claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.records.trees import Tree, TreeNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.evaluation.names import lower_is_better
from reasoning_train.store.table_row import TableRow
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of

Leaf = tuple[str | None, float | None, int, float]
"""Answer (None: dead), outcome, copies, share of the vote."""


def tree(name: str, *leaves: Leaf, sample: int = 0, search: str = "best_of_n", **more: Any) -> Tree:
    """Leaves under the root, 4 tokens each."""
    nodes = [TreeNode(node=0, parent=-1, depth=0, text="Q", token_ids=(1,))]
    for i, (answer, outcome, copies, share) in enumerate(leaves, 1):
        dead = answer is None
        votes = {} if dead else {"votes": copies, "weight": share, "value": share}
        nodes.append(
            TreeNode(
                node=i,
                parent=0,
                depth=1,
                text=f"Answer: {answer}",
                token_ids=(2, 3, 4, i),
                draws=copies,
                outcome=outcome,
                answer=answer,
                terminal="limit" if dead else "answer",
                **votes,
            )
        )
    drawn = 4 * sum(copies for _, _, copies, _ in leaves)
    fields = {"generated_tokens": drawn, "scored_tokens": 6, "scale": "p", "search": search, **more}
    return Tree(problem_id=name, sample=sample, nodes=tuple(nodes), **fields)


POOL = tree("p0", ("12", 1.0, 1, 0.5), ("8", 0.0, 2, 0.4), (None, 0.0, 1, 0.0))
"""Four paths: one right with the best score, two wrong ones that outvote it by number and by sum, a dead one."""
BEAM = tree("p0", ("12", 1.0, 1, 1.0), search="beam", generated_tokens=40, scored_tokens=10)


def table(
    bench: Bench, strategies: dict[str, dict[str, Any]], names: tuple[str, ...] = ("p0",), **config: Any
) -> dict[tuple[str, str], Any]:
    problems = bench.problems("problems", [problem(name) for name in names])
    made = bench.make("eval", "evaluate_trees", problems=problems, strategies=strategies, **config)
    bench.made = made
    return {(row["policy"], row["problem_id"]): row for row in rows_of(made)}


def test_completions_of_a_scorer_are_no_paths_of_the_pool(bench: Bench) -> None:
    """Two completions that the scorer drew were cut. The pool is still the four paths, and so are its shares."""
    cut = [
        TreeNode(node=n, parent=1, depth=2, text="", token_ids=(5,), terminal="limit", outcome=0.0, source="rollout")
        for n in (4, 5)
    ]
    bare, rolled = bench.trees("bare", [POOL]), bench.trees("rolled", [replace(POOL, nodes=(*POOL.nodes, *cut))])
    strategies = {name: {"vote": "argmax", "n": [1, 2]} for name in ("bare", "rolled")}
    strategies["bare"]["trees"], strategies["rolled"]["trees"] = bare, rolled
    rows = table(bench, strategies)
    for n in (1, 2):
        one, other = rows[f"bare@{n}", "p0"], rows[f"rolled@{n}", "p0"]
        for column in ("accuracy", "tokens", "calls", "strategy"):
            assert one[column] == other[column]


def test_rows_by_hand(bench: Bench) -> None:
    pool, beam = bench.trees("pool", [POOL]), bench.trees("beam", [BEAM])
    rows = table(
        bench,
        {
            "best": {"trees": pool, "vote": "argmax"},
            "votes": {"trees": pool, "vote": "majority"},
            "summed": {"trees": pool},
            "drawn": {"trees": pool, "vote": "draw"},
            "beam": {"trees": beam, "vote": "argmax"},
        },
    )
    # Scores are shares per copy: 0.5 against 0.2, so the right answer wins alone and by sum, not by number.
    assert {name: row["accuracy"] for (name, _), row in rows.items()} == pytest.approx(
        {"best": 1.0, "votes": 0.0, "summed": 1.0, "drawn": 0.5 / 0.9, "beam": 1.0}
    )
    best = rows["best", "p0"]
    shown = (best["verdict"], best["answer"], best["gold"], best["solution"])
    assert shown == ("correct", "12", "12", "Answer: 12")
    assert rows["votes", "p0"]["verdict"] == "wrong"
    assert {name: row["strategy"] for (name, _), row in rows.items()} == {
        "best": "best_of_n 4, argmax",
        "votes": "best_of_n 4, majority",
        "summed": "best_of_n 4, weighted",
        "drawn": "best_of_n 4, draw",
        "beam": "beam, argmax",
    }
    assert best["cut"] == 0.25 and rows["beam", "p0"]["cut"] == 0.0
    assert (best["tokens"], best["generated_tokens"], best["scored_tokens"]) == (22, 16, 6)
    assert (rows["beam", "p0"]["tokens"], rows["beam", "p0"]["generated_tokens"]) == (50, 40)
    assert (best["sampled_answers"], best["sampled_correct"], best["sampled_tokens"]) == (
        ["12", "8", "8"],
        [True, False, False],
        [4, 4, 4],
    )


def test_smaller_pools_cost_their_share(bench: Bench) -> None:
    """One of four paths is right a quarter of the time; the best of two is the right one in half of the pairs, of three
    in 3 of 4."""
    pool = bench.trees("pool", [POOL])
    rows = table(bench, {f"n{n}": {"trees": pool, "vote": "argmax", "n": n} for n in (1, 2, 3, 4)})
    assert [rows[f"n{n}", "p0"]["accuracy"] for n in (1, 2, 3, 4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert [rows[f"n{n}", "p0"]["tokens"] for n in (1, 2, 3, 4)] == pytest.approx([5.5, 11, 16.5, 22])


def test_several_trees_a_problem_are_averaged(bench: Bench) -> None:
    other = tree("p0", ("8", 0.0, 1, 1.0), sample=1, search="beam", generated_tokens=20, scored_tokens=0)
    [row] = table(bench, {"beam": {"trees": bench.trees("beam", [BEAM, other])}}).values()
    assert (row["accuracy"], row["tokens"], row["verdict"]) == (0.5, 35, "correct")


def test_answers_are_equal_where_the_task_says_so(bench: Bench) -> None:
    """12 and 012 are one integer to the chain task: together they outvote 8."""
    pool = bench.trees("pool", [tree("p0", ("12", 1.0, 1, 0.3), ("012", 1.0, 1, 0.3), ("8", 0.0, 1, 0.4))])
    rows = table(bench, {"summed": {"trees": pool}, "best": {"trees": pool, "vote": "argmax"}})
    assert rows["summed", "p0"]["accuracy"] == 1.0 and rows["best", "p0"]["accuracy"] == 0.0


def test_summary_has_intervals_costs_and_marks_what_saw_gold(bench: Bench) -> None:
    names = tuple(f"p{i}" for i in range(40))
    good = [tree(n, ("12", 1.0, 1, 1.0), search="beam", generated_tokens=30, oracle=True) for n in names]
    half = [tree(n, ("12" if i % 2 else "8", float(i % 2), 1, 1.0)) for i, n in enumerate(names)]
    table(bench, {"half": {"trees": bench.trees("half", half)}, "good": {"trees": bench.trees("good", good)}}, names)
    summary = bench.made.manifest["metrics"]["summary"]
    assert (summary["problems"], summary["oracle"], summary["base"]) == (40, ["good"], "half")
    value, low, high = summary["differences"]["good"]["accuracy"]
    assert value == 0.5 and 0.3 < low < 0.5 < high < 0.7
    text = bench.made.manifest["metrics"]["table"]
    assert text["columns"] == [
        "policy",
        "strategy",
        "accuracy",
        "accuracy - half",
        "cut",
        "tokens",
        "generated",
        "scored",
        "calls",
    ]
    assert [row[:2] for row in text["rows"]] == [
        ["half", "best_of_n 1, weighted"],
        ["good (oracle)", "beam, weighted"],
    ]
    assert text["rows"][1][4:] == ["0.0", "36.0", "30.0", "6.0", ""]  # this beam does not say how often it asked
    assert text["rows"][0][7:] == ["6.0", "1.0"]


def test_a_problem_without_a_tree_or_gold_counts_for_nobody(bench: Bench) -> None:
    unknown = tree("p1", ("12", None, 1, 1.0))
    one, two = (
        bench.trees("one", [POOL, unknown, tree("p2", ("12", 1.0, 1, 1.0))]),
        bench.trees("two", [BEAM, tree("p1", ("8", 0.0, 1, 1.0))]),
    )
    given = {"one": {"trees": one}, "two": {"trees": two}}
    with pytest.raises(GateError, match=r"evaluate_trees: 1 of 2 problems cannot be verified"):
        table(bench, given, ("p0", "p1", "p2"))
    rows = table(bench, given, ("p0", "p1", "p2"), max_unverifiable=0.5)
    assert (
        set(rows) == {(s, p) for s in ("one", "two") for p in ("p0", "p1")}
        and rows["one", "p1"]["verdict"] == "unverifiable"
    )
    counts = bench.made.manifest["counts"]
    assert (counts["dropped.no_tree"], counts["dropped.unverifiable"], counts["out"]) == (1, 1, 1)


def test_a_tree_without_an_answer_is_wrong(bench: Bench) -> None:
    pool = bench.trees("pool", [tree("p0", (None, 0.0, 3, 0.0))])
    rows = table(bench, {"all": {"trees": pool}, "two": {"trees": pool, "n": 2}})
    for row in rows.values():
        assert (row["accuracy"], row["verdict"], row["cut"], row["answer"]) == (0.0, "wrong", 1.0, None)


def test_what_is_refused(bench: Bench) -> None:
    pool, beam = bench.trees("pool", [POOL]), bench.trees("beam", [BEAM])
    with pytest.raises(UserError, match=r"strategies\.x\.n: paths of a tree that 'beam' grew are not independent"):
        table(bench, {"x": {"trees": beam, "n": 1}})
    with pytest.raises(UserError, match="n is 9, but the pool of 'p0#0' holds 4 paths"):
        table(bench, {"x": {"trees": pool, "n": 9}})
    with pytest.raises(UserError, match="pool holds trees of 'p0', which is not among problems"):
        table(bench, {"x": {"trees": pool}}, ("q",))


def test_the_way_from_search_to_claim(bench: Bench) -> None:
    """A fresh policy on chain problems: best-of-N, a particle filter and a beam, their votes, a claim that reads the
    table unchanged."""
    policy = bench.model()
    bench.make("problems", "problems", task={"uses": "chain", "test": 6, "steps": [1, 2]}, split="test")
    common = {"policy": policy, "problems": Ref("problems"), "scorer": {"uses": "constant"}}
    for name, search in {
        "pool": {"uses": "best_of_n", "n": 8, "max_length": 24},
        "filter": {"uses": "particle", "n": 4, "max_length": 24},
        "beam": {"uses": "beam", "beams": 2, "expand": {"n": 2, "max_tokens": 8}, "max_length": 24},
    }.items():
        bench.make(name, "search", **common, search=search)
    strategies = {
        "bon2": {"trees": Ref("pool"), "n": 2, "vote": "majority"},
        "filter": {"trees": Ref("filter"), "vote": "draw"},
        "beam": {"trees": Ref("beam"), "vote": {"uses": "argmax", "score": "last"}},
    }
    made = bench.make("eval", "evaluate_trees", problems=Ref("problems"), strategies=strategies)
    rows = rows_of(made)
    assert (
        len(rows) == 18 and not any(row["oracle"] for row in rows) and all(row["generated_tokens"] > 0 for row in rows)
    )
    bench.make("claim", "claim", table=[Ref("eval")], form={"uses": "difference", "better": "filter", "than": "bon2"})
    assert bench.plan.nodes["claim"]


def test_by_groups_and_where(bench: Bench) -> None:
    """Two levels; `where` keeps the trees of the other one out, wherever they stand."""
    levels = {"p0": "1", "p1": "2", "p2": "1"}
    problems = bench.problems("problems", [problem(name, tags={"level": level}) for name, level in levels.items()])
    found = [tree("p0", ("12", 1.0, 1, 1.0)), tree("p1", ("8", 0.0, 1, 1.0)), tree("p2", ("8", 0.0, 1, 1.0))]
    given = {"problems": problems, "strategies": {"one": {"trees": bench.trees("pool", found)}}}
    metrics = bench.make("by", "evaluate_trees", by=["level"], **given).manifest["metrics"]
    [table] = metrics["by"]
    assert [(line[0], line[1], line[3].split()[0]) for line in table["rows"]] == [("1", "2", "50.0"), ("2", "1", "0.0")]
    kept = rows_of(bench.make("where", "evaluate_trees", where={"level": 2}, **given))
    assert [row["problem_id"] for row in kept] == ["p1"]
    first = rows_of(bench.make("first", "evaluate_trees", where={"level": "1"}, limit=1, **given))
    assert [row["problem_id"] for row in first] == ["p0"]


def test_measures_of_the_task_are_columns(bench: Bench) -> None:
    """Two steps and an answer line, read by their text; fewer steps are the better, and every reader is told so."""
    problems = bench.problems("problems", [problem("p0")], task=CHAIN)
    root = TreeNode(node=0, parent=-1, depth=0, text="Q", token_ids=(1,))
    text = "1 + 1 = 2\n2 + 10 = 12\nAnswer: 12"
    end = {"terminal": "answer", "answer": "12", "outcome": 1.0, "votes": 1, "weight": 1.0}
    leaf = TreeNode(node=1, parent=0, depth=1, text=text, token_ids=(2, 3, 4, 5), **end)
    trees = bench.trees("pool", [Tree(problem_id="p0", sample=0, nodes=(root, leaf), scale="p", search="best_of_n")])
    columns = {"": {"measures": ["steps", "completion_tokens"]}}
    strategies = {"one": {"trees": trees}}
    made = bench.make("eval", "evaluate_trees", problems=problems, strategies=strategies, columns=columns)
    [row] = rows_of(made)
    assert TableRow.from_row(row).measures == {"steps": 2.0, "completion_tokens": 4.0}
    assert "steps ↓" in made.manifest["metrics"]["table"]["columns"]
    assert lower_is_better("steps", made.manifest) and not lower_is_better("steps")
    assert lower_is_better("tokens") and not lower_is_better("accuracy", made.manifest)
