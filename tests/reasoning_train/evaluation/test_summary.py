"""From rows to numbers: which problems count, paired differences, the table of text."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.graders.auto import Auto
from data_gen.records.verdict import Answer, Verdict
from reasoning_train.evaluation.summary import collect, majority_at_k, row_metrics, summarise_rows
from reasoning_train.evaluation.tables import group_tables, summary_table
from reasoning_train.store.table_row import TableRow
from tests.reasoning_train.bench import problem
from tests.reasoning_train.evaluation.rows import row, rows


def metrics_of(made: dict[str, Any], ks: list[int]) -> dict[str, float]:
    return row_metrics(TableRow.from_row(made), ks)


def test_metrics_of_one_row_by_hand() -> None:
    sampled = {"sampled_classes": (0, 1, -1, 0), "sampled_correct": (True, False, False, True)}
    metrics = metrics_of(row("base", "p", True, steps_ok=False, **sampled), [1, 2, 4])
    assert metrics == pytest.approx(
        {
            "accuracy": 1,
            "tokens": 10,
            "cut": 0,
            "trace": 0,
            "pass@1": 1 / 2,
            "pass@2": 5 / 6,
            "maj@2": (1 + 2 * 0.5 + 2 * 1 + 0) / 6,  # both right; right with wrong, twice; right with none, twice
            "pass@4": 1,
            "maj@4": 1,
        }
    )
    assert "trace" not in metrics_of(row("base", "p", True, steps_ok=None), [])


def test_a_cut_row_counts_as_cut_and_wrong() -> None:
    metrics = metrics_of(row("base", "p", False, cut=1.0), [])
    assert (metrics["accuracy"], metrics["cut"]) == (0.0, 1.0)


@given(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=1, max_size=6), st.integers(2, 6))
def test_majority_at_k_is_the_mean_over_subsets(numbers: list[int], k: int) -> None:
    """Class 0 is right. At most 20 subsets of up to 6 samples, so all are looked at."""
    if k > len(numbers):
        return

    def share(some: tuple[int, ...]) -> float:
        counts = Counter(number for number in some if number >= 0)
        leaders = [number for number, count in counts.items() if count == max(counts.values())]
        return leaders.count(0) / len(leaders) if leaders else 0.0

    subsets = list(itertools.combinations(numbers, k))
    made = row("base", "p", True, sampled_classes=tuple(numbers), sampled_correct=tuple(n == 0 for n in numbers))
    assert majority_at_k(TableRow.from_row(made), k) == pytest.approx(sum(map(share, subsets)) / len(subsets))


def test_problems_unverifiable_for_one_policy_are_left_out_for_all() -> None:
    made = rows("base", [True, None, False]) + rows("tuned", [True, True, None])
    table, unverifiable, _ = collect(map(TableRow.from_row, made), [])
    assert unverifiable == {"p1", "p2"}
    assert {name: set(problems) for name, problems in table.items()} == {"base": {"p0"}, "tuned": {"p0"}}
    summary = summarise_rows(made, ["base", "tuned"], [])
    assert (summary["problems"], summary["unverifiable"]) == (1, 2)
    assert summary["policies"]["tuned"]["accuracy"][0] == 1.0


def test_nothing_verifiable_gives_no_numbers() -> None:
    summary = summarise_rows(rows("base", [None, None]), ["base"], [])
    assert (summary["problems"], summary["policies"]) == (0, {})


def test_differences_are_paired_by_problem() -> None:
    # The policies are right on the same half and differ on 10 of 200 problems: unpaired, the interval would be some 10
    # points wide.
    base = [i % 2 == 0 for i in range(200)]
    tuned = [right or i in range(1, 21, 2) for i, right in enumerate(base)]
    made = rows("base", base) + list(reversed(rows("tuned", tuned)))
    summary = summarise_rows(made, ["base", "tuned"], [])
    assert summary["base"] == "base"
    assert list(summary["differences"]) == ["tuned"]
    value, low, high = summary["differences"]["tuned"]["accuracy"]
    assert value == pytest.approx(0.05)
    assert 0.0 < low < 0.05 < high < 0.09


def test_wrong_steps_are_counted_among_correct_samples_only() -> None:
    made = [
        row(
            "base",
            "p0",
            True,
            sampled_answers=["7", "7", "8"],
            sampled_correct=[True, True, False],
            sampled_steps_ok=[True, False, False],
        ),
        row(
            "base", "p1", True, sampled_answers=["7", "7"], sampled_correct=[True, True], sampled_steps_ok=[True, True]
        ),
    ]
    assert summarise_rows(made, ["base"], [])["wrong_step_share_of_correct"] == {"base": 1 / 4}


def test_samples_whose_steps_were_not_checked_are_no_samples_with_right_steps() -> None:
    sampled = {"sampled_answers": ["7", "7", "7"], "sampled_correct": [True] * 3}
    made = [row("base", "p0", True, sampled_steps_ok=[False, None, True], **sampled)]
    assert summarise_rows(made, ["base"], [])["wrong_step_share_of_correct"] == {"base": 1 / 2}
    made = [row("base", "p0", True, sampled_steps_ok=[None] * 3, **sampled)]
    assert summarise_rows(made, ["base"], [])["wrong_step_share_of_correct"] == {}


def test_an_answer_of_no_known_accuracy_is_not_one_of_accuracy_0() -> None:
    made = [row("base", "p0", True, accuracy=None)]
    with pytest.raises(UserError, match="accuracy: 'base' has the verdict 'correct' and no accuracy on problem 'p0'"):
        summarise_rows(made, ["base"], [])


def test_wrong_answers_to_gold_in_words_count_as_wrong() -> None:
    """5 of 20 are right, graded as a task without a grader of its own does."""
    grader, made = Auto(), []
    for i, gold in enumerate(["Paris", "Rome", "Oslo", "Cairo"] * 5):
        asked = problem(f"p{i}", gold=gold)
        verdict = grader.grade(asked, Answer(gold if i < 5 else "Lima")).verdict
        made.append(row("base", asked.id, verdict is Verdict.CORRECT, verdict=str(verdict)))
    found = summarise_rows(made, ["base"], [])
    assert (found["problems"], found["policies"]["base"]["accuracy"][0]) == (20, 0.25)


def test_the_table_shows_every_metric_and_the_difference() -> None:
    table = summary_table(
        summarise_rows(rows("base", [True, False]) + rows("tuned", [True, True]), ["base", "tuned"], [])
    )
    assert table["columns"] == ["policy", "strategy", "accuracy", "trace", "accuracy - base", "cut", "tokens"]
    base, tuned = table["rows"]
    assert (base[:2], base[4:]) == (["base", "greedy"], ["", "0.0", "10.0"])
    assert tuned[2].startswith("100.0 [34.2, 100.0]")
    assert tuned[4].startswith("+50.0 [")
    assert table["title"] == "2 problems, % with 95 % intervals, differences paired"


def test_what_is_left_out_or_cut_is_printed() -> None:
    """Of 4 problems one has no readable gold, and a limit cut one of the three other completions."""
    made = [*rows("base", [True, None, False]), row("base", "p3", False, cut=1.0, answer=None)]
    table = summary_table(summarise_rows(made, ["base"], []))
    assert table["title"].startswith("3 problems, 1 unverifiable left out, ")
    assert dict(zip(table["columns"], table["rows"][0], strict=True))["cut"] == "33.3"


def grouped(policy: str, right: dict[str, list[bool]]) -> list[dict[str, Any]]:
    """A row a problem, tagged with its level."""
    return [
        row(policy, f"{level}/{i}", one, tags={"level": level} if level else {}, difficulty=float(i))
        for level, outcomes in right.items()
        for i, one in enumerate(outcomes)
    ]


def test_groups_have_figures_of_their_own() -> None:
    """Levels in the order of their numbers; problems without one last; differences within the group."""
    made = grouped("base", {"10": [True, False], "2": [False] * 4, "": [True]})
    made += grouped("tuned", {"10": [True, True], "2": [True, False, False, False], "": [True]})
    summary = summarise_rows(made, ["base", "tuned"], [], by=["level"])
    levels = summary["groups"]["level"]
    assert list(levels) == ["2", "10", "(none)"]
    assert [group["problems"] for group in levels.values()] == [4, 2, 1]
    assert [group["policies"]["tuned"]["accuracy"][0] for group in levels.values()] == [0.25, 1.0, 1.0]
    assert [group["differences"]["tuned"]["accuracy"][0] for group in levels.values()] == [0.25, 0.5, 0.0]
    [table] = group_tables(summary)
    assert table["columns"] == ["level", "n", "policy", "accuracy", "trace", "accuracy - base", "cut"]
    assert [line[:3] for line in table["rows"]] == [
        [level, n, policy] for level, n in (("2", "4"), ("10", "2"), ("(none)", "1")) for policy in ("base", "tuned")
    ]
    assert table["rows"][1][3].startswith("25.0 [0.0, ")


def test_a_group_of_all_problems_says_what_the_whole_says() -> None:
    made = [row("base", f"p{i}", i % 3 == 0, tags={"source": "one"}) for i in range(30)]
    summary = summarise_rows(made, ["base"], [], by=["source"])
    assert summary["groups"]["source"]["one"]["policies"] == summary["policies"]


def test_tags_that_make_no_groups_are_named() -> None:
    made = [row("base", f"p{i}", True, difficulty=float(i)) for i in range(51)]
    with pytest.raises(UserError, match=r"by: no problem has a tag 'subject'. Name one of the problems' tags, or"):
        summarise_rows(made, ["base"], [], by=["subject"])
    with pytest.raises(UserError, match=r"by: 'difficulty' has 51 values; expected 50 at most"):
        summarise_rows(made, ["base"], [], by=["difficulty"])


def test_measures_are_columns_that_say_which_way_is_better() -> None:
    made = [row("base", f"p{i}", True, measures={"steps": 2.0 + i}) for i in range(4)]
    summary = summarise_rows(made, ["base"], [], lower=["steps"])
    assert summary["policies"]["base"]["steps"][0] == 3.5 and summary["partial"] == {}
    table = summary_table(summary)
    shown = dict(zip(table["columns"], table["rows"][0], strict=True))
    assert shown["steps ↓"].startswith("3.5 [2.") and shown["accuracy"].startswith("100.0 [")


def test_a_table_says_out_of_how_many_a_row_was_chosen() -> None:
    made = rows("base", [True, False]) + rows("tuned", [True, True])
    summary = summarise_rows(made, ["base", "tuned"], [])
    assert "tried" not in summary_table({**summary, "tried": {}})["columns"]
    table = summary_table({**summary, "tried": {"tuned": {"best": 4, "best_verifier": 3}}})
    assert table["columns"][-1] == "tried"
    assert [line[-1] for line in table["rows"]] == ["not tuned", "1 of 4, 1 of 3"]


def test_a_measure_that_some_problems_lack_is_taken_over_the_others() -> None:
    """`strict` has values for p0 to p3 under `base` and for p1 to p4 under `tuned`: p1 to p3 are compared."""
    made = [
        row(policy, f"p{i}", True, tags={"half": "a" if i < 4 else "b"}, measures={"strict": value} if has else {})
        for policy, value, kept in (("base", 0.25, range(4)), ("tuned", 0.75, range(1, 5)))
        for i in range(6)
        for has in [i in kept]
    ]
    summary = summarise_rows(made, ["base", "tuned"], [], by=["half"])
    assert summary["partial"] == {"strict": 3}
    assert summary["policies"]["base"]["strict"] == pytest.approx([0.25] * 3)
    assert summary["differences"]["tuned"]["strict"] == pytest.approx([0.5] * 3)
    table = summary_table(summary)
    assert table["rows"][0][table["columns"].index("strict")] == "0.25 [0.25, 0.25] (n=3)"
    [table] = group_tables(summary)
    assert [line[table["columns"].index("strict")][-5:] for line in table["rows"]] == ["(n=3)", "(n=3)", "", ""]


def test_a_declared_share_of_0_or_1_has_an_interval() -> None:
    """Wilson's interval of 0 of 100 problems: [0, 3.7]."""
    made = [row("base", f"p{i}", True, measures={"strict": 0.0}) for i in range(100)]
    summary = summarise_rows(made, ["base"], [], shares=["strict"])
    assert summary["shares"] == ["strict"]
    assert summary["policies"]["base"]["strict"] == pytest.approx([0.0, 0.0, 0.037], abs=1e-4)
    table = summary_table(summary)
    assert table["rows"][0][table["columns"].index("strict")] == "0.0 [0.0, 3.7]"
