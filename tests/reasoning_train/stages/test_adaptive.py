"""`adaptive` over hand-made tables and pools: rows and charges by hand, what is left out, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.evaluation.bins import folds_of
from tests.reasoning_train.bench import Bench, problem, rows_of, solution
from tests.reasoning_train.evaluation.rows import row
from tests.reasoning_train.stages.test_evaluate_trees import tree

NAMES = [f"p{i}" for i in range(8)]
FOLD = folds_of(NAMES, 2, seed=0)
EASY = {name for fold in (0, 1) for name in sorted(n for n in NAMES if FOLD[n] == fold)[:2]}
"""Two problems of each fold."""


def sampled(name: str, *answers: str | None) -> list[Solution]:
    """Samples of three tokens."""
    step = (Segment(kind=Kind.STEP, text="x", token_ids=(1, 2, 3)),)
    return [
        solution(name, "", sample=i, answer=one, segments=step, verdict="correct" if one == "12" else "wrong")
        for i, one in enumerate(answers)
    ]


def pool(bench: Bench, names: list[str] = NAMES, name: str = "few") -> Ref:
    """The samples of easy problems agree, those of the others do not."""
    answers = {True: ("12", "12"), False: ("12", "8")}
    return bench.solutions(name, [one for p in names for one in sampled(p, *answers[p in EASY])])


def strategies(names: list[str] = NAMES, **more: Any) -> list[dict[str, Any]]:
    """`vote` is right on easy problems for 10 tokens, `beam` on hard ones for 90."""
    made = [row("vote", p, p in EASY, tokens=10, generated_tokens=10.0, calls=1.0, **more) for p in names]
    return made + [row("beam", p, p not in EASY, tokens=90, scored_tokens=60.0, **more) for p in names]


def table(bench: Bench, names: list[str] = NAMES, name: str = "table", **more: Any) -> Ref:
    """A table of them."""
    return bench.given(name, "t_evaluation", strategies(names, **more))


def run(bench: Bench, **config: Any) -> dict[tuple[str, str], Any]:
    problems = bench.problems("problems", [problem(name, tags={"kind": "a"}) for name in NAMES])
    given: dict[str, Any] = {"problems": problems, "bins": 2, "estimate": {"pool": Ref("few"), "n": 2}}
    if "tables" not in config:
        given["table"] = Ref("table")
    bench.made = bench.make("best", "adaptive", **{**given, **config})
    return {(one["policy"], one["problem_id"]): one for one in rows_of(bench.made)}


def mean(rows: dict[tuple[str, str], Any], name: str, column: str = "accuracy") -> float:
    found = [one[column] for (policy, _), one in rows.items() if policy == name]
    assert len(found) == len(NAMES)
    return sum(found) / len(found)


def test_the_best_assignment_and_its_charges_by_hand(bench: Bench) -> None:
    """Half a strategy of 10 and half one of 90 tokens make 50, and two samples of three tokens 6 more."""
    pool(bench), table(bench)
    rows = run(bench)
    assert {name: mean(rows, name) for name in ("adaptive", "adaptive, amortised", "oracle bins", "best fixed")} == {
        "adaptive": 1.0,
        "adaptive, amortised": 1.0,
        "oracle bins": 1.0,
        "best fixed": 0.5,
    }
    assert (mean(rows, "adaptive", "tokens"), mean(rows, "adaptive, amortised", "tokens")) == (56.0, 50.0)
    assert mean(rows, "best fixed", "tokens") == 10.0  # as good as the other, and cheaper
    easy, hard = (next(p for p in NAMES if (p in EASY) == wanted) for wanted in (True, False))
    one, other = rows["adaptive", easy], rows["adaptive", hard]
    assert [one[c] for c in ("strategy", "tokens", "generated_tokens", "scored_tokens", "calls")] == [
        "vote",
        16.0,
        16.0,
        None,
        3.0,
    ]
    assert [other[c] for c in ("strategy", "tokens", "generated_tokens", "scored_tokens", "calls")] == [
        "beam",
        96.0,
        None,
        60.0,
        None,
    ]
    assert {name for (name, _), one in rows.items() if one["oracle"]} == {"oracle bins"}


def test_the_table_says_what_was_chosen_and_what_the_estimate_takes(bench: Bench) -> None:
    pool(bench), table(bench, tags={"kind": "a"})
    run(bench, by=["kind"])
    metrics = bench.made.manifest["metrics"]
    assert metrics["estimate"] == {"tokens": 6.0, "generated": 6.0, "scored": 0.0, "calls": 2.0}
    assert metrics["table"]["title"].endswith("; the estimate takes 6.0 tokens, charged to `adaptive` alone")
    shown = {line[0]: (line[1], line[-1]) for line in metrics["table"]["rows"]}
    assert shown["adaptive"] == ("2 bins by agreement of 2", "1 of 2")
    assert shown["best fixed"] == ("one for all, 2 folds", "1 of 2") and "oracle bins (oracle)" in shown
    kinds, chosen = metrics["by"]
    assert kinds["title"].startswith("by kind")
    assert chosen["columns"] == ["policy", "fold", "bin 1", "bin 2"]
    assert chosen["rows"][:4] == [
        ["best fixed", "1", "vote", ""],
        ["best fixed", "2", "vote", ""],
        ["adaptive", "1", "vote", "beam"],
        ["adaptive", "2", "vote", "beam"],
    ]
    assert metrics["chosen"]["adaptive"][0] == {
        "fold": 0,
        "edges": [-1.0],
        "strategies": ["vote", "beam"],
        "problems": [2, 2],
    }


def test_budgets_have_rows_of_their_own(bench: Bench) -> None:
    """95 tokens: `beam` takes 90 and fits, not beside the estimate of 6; together the bins take 50."""
    pool(bench), table(bench)
    rows = run(bench, budgets=[95, 40])
    assert {name for name, _ in rows} == {
        f"{kind}@{budget}"
        for kind in ("best fixed", "adaptive", "adaptive, amortised", "random bins", "oracle bins")
        for budget in (40, 95)
    }
    assert mean(rows, "adaptive, amortised@95") == 1.0 and mean(rows, "adaptive@95") == 0.5
    assert mean(rows, "adaptive@95", "tokens") == 16.0
    across = run(bench, budgets=[95], spend="across")
    assert mean(across, "adaptive@95") == 1.0 and mean(across, "adaptive@95", "tokens") == 56.0
    with pytest.raises(GateError, match="15 tokens a problem are not enough for 'adaptive@15'"):
        run(bench, budgets=[15])


def test_a_claim_reads_the_rows(bench: Bench) -> None:
    pool(bench), table(bench)
    run(bench, budgets=[95], spend="across")
    form = {"uses": "difference", "better": "adaptive@95", "than": "best fixed@95"}
    made = bench.make("claim", "claim", table=[Ref("best")], form=form, no_more="tokens")
    difference, cost = made.manifest["metrics"]["comparisons"]
    assert difference["estimate"][0] == 0.5 and cost["estimate"][0] == 46.0


def test_several_tables_and_named_strategies(bench: Bench) -> None:
    pool(bench)
    table(bench, name="one"), table(bench, name="two")
    rows = run(bench, tables={"one": Ref("one"), "two": Ref("two")}, strategies=["one/vote", "two/beam"])
    assert {one["strategy"] for one in rows.values()} == {"one/vote", "two/beam"} and mean(rows, "adaptive") == 1.0
    only = run(bench, tables={"one": Ref("one")}, strategies=["one/beam"])
    assert {one["strategy"] for one in only.values()} == {"one/beam"}


def test_predictions_are_no_strategies(bench: Bench) -> None:
    """A closed form is right everywhere and free, and would always be chosen."""
    pool(bench)
    found = strategies() + [row("vote, predicted@64", p, True, tokens=1, coverage=1.0) for p in NAMES]
    bench.given("table", "t_evaluation", found)
    rows = run(bench)
    assert {one["strategy"] for one in rows.values()} == {"vote", "beam"}
    assert bench.made.manifest["metrics"]["summary"]["tried"]["adaptive"]["strategies"] == 2
    with pytest.raises(UserError, match="'vote, predicted@64' is a prediction in closed form, not a strategy"):
        run(bench, strategies=["vote", "vote, predicted@64"])


def test_large_budgets_keep_their_digits(bench: Bench) -> None:
    pool(bench), table(bench)
    rows = run(bench, budgets=[1_000_001, 1_500_000])
    assert {name for name, _ in rows if name.startswith("adaptive@")} == {"adaptive@1000001", "adaptive@1500000"}


def test_trees_with_values_are_a_pool(bench: Bench) -> None:
    """The verifier is surer of easy problems. It reads 6 tokens of a pool of four samples, so 3 of two."""
    score = {True: 0.9, False: 0.2}
    found = [tree(p, ("12", 1.0, 2, score[p in EASY]), ("8", 0.0, 2, score[p in EASY])) for p in NAMES]
    bench.trees("few", found)
    table(bench)
    rows = run(bench, estimate={"pool": Ref("few"), "n": 2, "by": "score"})
    assert mean(rows, "adaptive") == 1.0 and mean(rows, "adaptive", "tokens") == 50 + 8 + 3


def test_abstentions_keep_their_coverage(bench: Bench) -> None:
    """`beam` abstains where it would be wrong; `vote` always answers."""
    made = [row("vote", p, p in EASY) for p in NAMES]
    made += [row("beam", p, p not in EASY, coverage=float(p not in EASY)) for p in NAMES]
    pool(bench), bench.given("table", "t_evaluation", made)
    rows = run(bench)
    assert all(one["coverage"] == 1.0 for (name, _), one in rows.items() if name == "adaptive")
    assert "coverage" in bench.made.manifest["metrics"]["table"]["columns"]


def test_unverifiable_and_missing_problems_are_counted(bench: Bench) -> None:
    """One problem has no samples, one no gold: six are left."""
    pool(bench, NAMES[1:])
    made = [row(name, p, None if p == "p7" else True) for name in ("vote", "beam") for p in NAMES]
    bench.given("table", "t_evaluation", made)
    with pytest.raises(GateError, match=r"7 of 8 problems have a row of every strategy .* min_shared=0\.9"):
        run(bench)
    with pytest.raises(GateError, match="adaptive: 1 of 7 problems cannot be verified"):
        run(bench, min_shared=0.5)
    rows = run(bench, min_shared=0.5, max_unverifiable=0.5)
    assert {p for _, p in rows} == set(NAMES[1:7])
    counts = bench.made.manifest["counts"]
    assert (counts["dropped.not_shared"], counts["dropped.unverifiable"], counts["out"]) == (1, 1, 6)


def test_a_group_is_never_divided(bench: Bench) -> None:
    """Problems of one group are one: a single group cannot be dealt to two folds."""
    pool(bench), table(bench)
    one = bench.problems("grouped", [replace(problem(name), group="g") for name in NAMES])
    with pytest.raises(GateError, match="the problems have 1 group, which cannot be dealt to 2 folds"):
        run(bench, problems=one)
    pairs = bench.problems("pairs", [replace(problem(name), group=f"g{i // 2}") for i, name in enumerate(NAMES)])
    run(bench, problems=pairs)
    [fitted, _] = bench.made.manifest["metrics"]["chosen"]["best fixed"]
    assert fitted["problems"] == [4]


def test_what_is_refused(bench: Bench) -> None:
    pool(bench), table(bench)
    for config, said in (
        ({"strategies": ["voet"]}, r"adaptive\.strategies: the table has no row 'voet'\. Did you mean 'vote'\?"),
        ({"estimate": {"pool": Ref("few"), "n": 3}}, "n is 3, but the pool of 'p0' holds 2 samples"),
        ({"estimate": {"pool": Ref("few"), "n": 2, "by": "score"}}, "'p0' has steps without one"),
    ):
        with pytest.raises(UserError, match=said):
            run(bench, **config)
    table(bench, [*NAMES, "q"], name="other")
    with pytest.raises(UserError, match="the table 'x' holds 'q', which is not among `problems`"):
        run(bench, tables={"x": Ref("other")})
    table(bench, name="golden", oracle=True)
    with pytest.raises(UserError, match=r"strategies: 'x/vote' saw gold, and what sees gold is no strategy to choose"):
        run(bench, tables={"x": Ref("golden")})
    bench.trees("beams", [tree(p, ("12", 1.0, 2, 0.5), search="beam") for p in NAMES])
    with pytest.raises(UserError, match="paths of a tree that 'beam' grew are not independent samples"):
        run(bench, estimate={"pool": Ref("beams"), "n": 2})
    bench.trees("told", [tree(p, ("12", 1.0, 2, 0.5), oracle=True) for p in NAMES])
    with pytest.raises(UserError, match="gold was used while the tree of 'p0' grew"):
        run(bench, estimate={"pool": Ref("told"), "n": 2})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"table": None}, "give either `table`, or `tables`"),
        ({"strategies": ["vote", "vote"]}, "'vote' stands there twice; name each row once"),
        ({"spend": "across"}, "`across` shares out a budget, and there is none; give `budgets`"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"budgets": [0]}, "greater than 0"),
    ],
)
def test_configs_that_mean_nothing(bench: Bench, config: dict[str, Any], said: str) -> None:
    pool(bench), table(bench)
    with pytest.raises(ValueError, match=said):
        run(bench, **config)
