"""`select` on samples made by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.solution import Segment, Solution
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.stages.select import SelectConfig
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import Bench, rows_of, solution

SAMPLES = [
    solution("a", "one", sample=0),
    solution("a", "one", sample=1),
    solution("a", "two", sample=2, verdict="wrong"),
    solution("a", "three", sample=3, finish="length"),
    solution("b", "four", sample=0, verdict="unverifiable"),
    solution("b", "one", sample=1, steps_ok=False),
]


def select(bench: Bench, rows: Any = SAMPLES, **config: Any) -> Artifact:
    return bench.make("kept", "select", solutions=bench.solutions("samples", rows, pass_rate=0.5), **config)


def kept(artifact: Artifact) -> list[tuple[str, int]]:
    return [(row["problem_id"], row["sample"]) for row in rows_of(artifact)]


def test_correct_whole_and_distinct_solutions_are_kept(bench: Bench) -> None:
    artifact = select(bench)
    assert kept(artifact) == [("a", 0), ("b", 1)]
    assert artifact.manifest["counts"] == {
        "in": 6,
        "out": 2,
        "dropped.wrong": 1,
        "dropped.unverifiable": 1,
        "dropped.cut_by_length_limit": 1,
        "dropped.duplicate": 1,
    }


def test_rows_are_handed_on_unchanged(bench: Bench) -> None:
    artifact = select(bench)
    assert rows_of(artifact)[0] == {**rows_of(bench.run("samples"))[0]}


def test_any_keeps_right_and_wrong_rows_but_no_unverifiable_or_cut_ones(bench: Bench) -> None:
    artifact = select(bench, keep="any", dedupe="none")
    assert kept(artifact) == [("a", 0), ("a", 1), ("a", 2), ("b", 1)]
    assert (
        artifact.manifest["counts"]["dropped.unverifiable"]
        == artifact.manifest["counts"]["dropped.cut_by_length_limit"]
        == 1
    )


def test_steps_right_drops_solutions_with_a_wrong_step(bench: Bench) -> None:
    artifact = select(bench, steps="right")
    assert kept(artifact) == [("a", 0)]
    assert artifact.manifest["counts"]["dropped.wrong_step"] == 1


def test_equal_texts_of_two_problems_are_no_duplicates(bench: Bench) -> None:
    rows = [solution("a", "same"), solution("b", "same")]
    assert kept(select(bench, rows)) == [("a", 0), ("b", 0)]


def test_near_duplicates_by_word_trigrams(bench: Bench) -> None:
    text = "one two three four five six seven eight nine ten"
    # 8 trigrams; a changed last word shares 7 of 9, a changed middle word 5 of 11.
    rows = [
        solution("a", text),
        solution("a", text[:-3] + "X", sample=1),
        solution("a", text.replace("five", "X"), sample=2),
    ]
    source = bench.solutions("samples", rows)
    assert kept(bench.make("at", "select", solutions=source, dedupe="near", near=7 / 9)) == [("a", 0), ("a", 2)]
    assert kept(bench.make("above", "select", solutions=source, dedupe="near", near=0.8)) == [
        ("a", 0),
        ("a", 1),
        ("a", 2),
    ]


def many(counts: dict[str, int], **more: Any) -> list[Any]:
    return [solution(name, f"text {i}", sample=i, **more) for name, n in counts.items() for i in range(n)]


def test_max_per_problem_draws_distinct_rows_in_order(bench: Bench) -> None:
    artifact = select(bench, many({"a": 9, "b": 2}), max_per_problem=4)
    samples = [sample for name, sample in kept(artifact) if name == "a"]
    assert len(samples) == 4
    assert samples == sorted(set(samples))
    assert kept(artifact)[4:] == [("b", 0), ("b", 1)]
    assert artifact.manifest["counts"]["dropped.max_per_problem"] == 5


def test_choices_depend_on_the_seed_alone(bench: Bench) -> None:
    source = bench.solutions("samples", many({"a": 30, "b": 30}))
    first, again, other = (
        kept(bench.make(name, "select", seed=seed, solutions=source, max_per_problem=5))
        for name, seed in (("x", 1), ("y", 1), ("z", 2))
    )
    assert first == again
    assert first != other


def test_balance_cuts_every_difficulty_to_the_median_size(bench: Bench) -> None:
    rows = many({"a": 9}, difficulty=1.0) + many({"b": 3}, difficulty=2.0) + many({"c": 1}, difficulty=3.0)
    artifact = select(bench, rows, balance=True)
    assert [sum(name == one for name, _ in kept(artifact)) for one in "abc"] == [3, 3, 1]
    assert artifact.manifest["counts"]["dropped.balance"] == 6
    assert kept(artifact) == sorted(kept(artifact))


def test_as_many_as_draws_the_other_selections_number(bench: Bench) -> None:
    wanted = bench.solutions("wanted", many({"z": 7}))
    artifact = select(bench, many({"a": 20, "b": 20}), as_many_as=wanted)
    assert len(set(kept(artifact))) == 7
    assert artifact.manifest["counts"]["dropped.as_many_as"] == 33


def test_as_many_as_with_too_few_rows_says_what_to_change(bench: Bench) -> None:
    wanted = bench.solutions("wanted", many({"z": 7}))
    with pytest.raises(
        GateError,
        match="as_many_as=wanted asks for 7 rows, but only 2 are left. Lower the other selection's `max_per_problem`",
    ):
        select(bench, many({"a": 2}), as_many_as=wanted)


def test_wrong_ones_alone(bench: Bench) -> None:
    rows = [solution("a", f"{verdict}", verdict=verdict) for verdict in ("correct", "wrong", "unverifiable")]
    artifact = select(bench, rows, keep="wrong")
    assert [row["completion"] for row in rows_of(artifact)] == ["wrong"]
    assert artifact.manifest["counts"]["dropped.correct"] == 1


def long(problem_id: str, *lengths: int, **more: Any) -> list[Solution]:
    """Solutions of so many tokens, a masked segment of three more in each."""
    return [
        replace(
            solution(problem_id, f"{problem_id} {i}", sample=i, **more),
            segments=(
                Segment(kind="step", text=f"{problem_id} {i}", token_ids=(7,) * n),
                Segment(kind="observation", text="", token_ids=(8,) * 3, weight=0.0),
            ),
        )
        for i, n in enumerate(lengths)
    ]


def trained(artifact: Artifact) -> float:
    return sum(Solution.from_row(row).trained_tokens for row in rows_of(artifact))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 30), min_size=5, max_size=30), st.integers(0, 3))
def test_as_many_tokens_as_comes_to_the_other_selections_tokens(tmp_path: Path, lengths: list[int], seed: int) -> None:
    bench = Bench(tmp_path / str(len(list(tmp_path.iterdir()))))
    wanted = bench.solutions("wanted", long("z", *lengths[:4]))
    source = bench.solutions("samples", long("a", *lengths))
    artifact = bench.make("kept", "select", seed=seed, solutions=source, as_many_tokens_as=wanted)
    assert abs(trained(artifact) - sum(lengths[:4])) <= max(lengths) / 2
    assert artifact.manifest["metrics"]["trained_tokens"] == trained(artifact)


def test_weights_count_in_trained_tokens(bench: Bench) -> None:
    wanted = bench.solutions("wanted", long("z", 10, 10))
    artifact = select(bench, long("a", *[10] * 9, weight=0.5), as_many_tokens_as=wanted)
    assert len(kept(artifact)) == 4
    assert artifact.manifest["counts"]["dropped.as_many_tokens_as"] == 5


def test_too_few_tokens_say_what_to_change(bench: Bench) -> None:
    wanted = bench.solutions("wanted", long("z", 10))
    with pytest.raises(
        GateError, match="as_many_tokens_as=wanted asks for 10 trained tokens, but only 9 are left. Lower the other"
    ):
        select(bench, long("a", 4, 5), as_many_tokens_as=wanted)


def test_tokens_of_text_are_counted_by_the_policy_that_learns_it(kitchen: Bench) -> None:
    wanted = kitchen.solutions("wanted", long("z", 9))
    text = [replace(solution("a", "12 + 5 = 17"), sample=i) for i in range(3)]
    source = kitchen.solutions("samples", text)
    with pytest.raises(UserError, match="the solution of problem 'a' is text only. Give `policy`"):
        kitchen.make("without", "select", solutions=source, as_many_tokens_as=wanted, dedupe="none")
    made = {"solutions": source, "as_many_tokens_as": wanted, "policy": Ref("model"), "dedupe": "none"}
    # Seven words and marks, and the stop token.
    assert len(kept(kitchen.make("with", "select", **made))) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"as_many_as": Ref("x"), "as_many_tokens_as": Ref("x")}, "arms can be equal in rows or in trained tokens"),
        ({"policy": Ref("x")}, "policy: it only counts tokens for `as_many_tokens_as`; leave it out"),
    ],
)
def test_what_does_not_go_together_is_refused(config: dict[str, Ref], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SelectConfig(solutions=Ref("s"), **config)


def test_min_rows_names_the_pass_rate(bench: Bench) -> None:
    with pytest.raises(
        GateError, match=re.escape("2 rows left, fewer than min_rows=3 (pass rate of samples: 0.5). Sample more")
    ):
        select(bench, min_rows=3)


def test_nothing_left_is_refused_by_default(bench: Bench) -> None:
    with pytest.raises(GateError, match="0 rows left, fewer than min_rows=1"):
        select(bench, [solution("a", "x", verdict="wrong")])
