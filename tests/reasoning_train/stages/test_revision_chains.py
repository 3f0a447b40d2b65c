"""`revision_chains` by hand: which wrong attempts stand before which right solution, and what a trainer makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from data_gen.programs.revise import Revise
from data_gen.records.solution import Solution
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.models.policy_text import load_policy_text
from reasoning_train.stages.revision_chains import RevisionChainsConfig, chains, nearest_to
from reasoning_train.trainers.data.solutions import encode_solutions
from tests.data_gen.typed import typed
from tests.reasoning_train.bench import Bench, rows_of, solution

QUESTION = "Ana has 12 coins. Ben has 8 more than Ana. How many has Ben?"


def attempt(sample: int, result: int, *, finish: str = "stop", problem: str = "p") -> Solution:
    return solution(
        problem,
        "",
        sample=sample,
        question=QUESTION,
        segments=tuple(typed(("step", f"12 + 8 = {result}\n"), ("answer", f"Answer: {result}"))),
        answer=str(result),
        verdict="correct" if result == 20 else "wrong",
        finish=finish,
    )


GIVEN = [attempt(i, result) for i, result in enumerate((20, 55, 21, 61, 20, 77))]


def config(**program: Any) -> RevisionChainsConfig:
    return RevisionChainsConfig(solutions=Ref("s"), model=Ref("m"), program=Revise(**program))


def made(given: Sequence[Solution], seed: int, **program: Any) -> list[tuple[str, list[str]]]:
    found = chains(given, config(**program), seed)
    return [(right.answer or "", [row.answer or "" for row in wrong]) for right, wrong in found]


def test_the_nearest_wrong_attempt_stands_last_and_the_others_are_drawn() -> None:
    found = [made(GIVEN, seed) for seed in range(200)]
    assert all(len(each) == 1 for each in found)  # equal texts are one solution
    wrong = [each[0][1] for each in found]
    assert all(one[-1] == "21" for one in wrong if one)
    assert all(len(set(one)) == len(one) for one in wrong)
    sizes = Counter(map(len, wrong))
    assert sizes.keys() == {0, 1, 2, 3, 4} and min(sizes.values()) > 20  # uniform: 40 of 200 each
    assert {answer for one in wrong for answer in one[:-1]} == {"55", "61", "77"}


def test_keep_limits_the_attempts_and_0_shows_none() -> None:
    assert {len(made(GIVEN, seed, keep=1)[0][1]) for seed in range(50)} == {0, 1}
    assert {len(made(GIVEN, seed, keep=0)[0][1]) for seed in range(50)} == {0}
    assert [right for right, _ in made(GIVEN, 3, keep=0)] == [right for right, _ in made(GIVEN, 3)]


def test_cut_and_unverifiable_attempts_are_left_out() -> None:
    cut = [attempt(0, 20), attempt(1, 21, finish="length")]
    assert made(cut, 1, keep=4) == [("20", [])]
    assert made([attempt(0, 20, finish="length"), attempt(1, 21)], 1) == []


def test_the_nearest_text_is_found_by_edits() -> None:
    assert nearest_to("12 + 8 = 20", ["9", "12 + 8 = 2", "12 - 8 = 20", "12 + 8 = 20"]) == 3
    assert nearest_to("abc", ["xyz", "xbz", "abz", "abd"]) == 2  # the first of equals


def test_rows_carry_loss_on_the_right_solution_alone(bench: Bench, one_thread: None) -> None:
    bench.model()
    bench.solutions("pool", [*GIVEN, *(attempt(i, 21, problem="q") for i in range(2))])
    program = {"uses": "revise", "template": "{asked}\n{attempts}\n", "keep": 2}
    artifact = bench.make("c", "revision_chains", seed=4, solutions=Ref("pool"), model=Ref("model"), program=program)
    rows = [Solution.from_row(row) for row in rows_of(artifact)]
    assert artifact.manifest["counts"] == {"in": 8, "out": 1}
    shown = artifact.manifest["metrics"]["attempts_shown"]
    assert sum(shown) == 1 and len(shown) == 3
    [row] = rows
    assert (row.verdict, row.text, row.turn) == ("correct", "12 + 8 = 20\nAnswer: 20", shown.index(1))
    codec = load_policy_text(bench.store.open(bench.nodes["model"]).path / "model").codec
    [encoded] = encode_solutions(rows, codec, 128).rows
    trace = encoded.traces[0]
    trained = [token for token, weight in zip(trace.ids, trace.weights, strict=True) if weight]
    assert codec.decode(trained) == row.text and trained[-1] == codec.end_id
    assert codec.decode(trace.ids).startswith(QUESTION)
    assert codec.decode(trace.ids).count("Answer") == 1 + row.turn


def test_chains_that_do_not_fit_lose_their_first_attempts(bench: Bench, one_thread: None) -> None:
    bench.model(init={"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64, "max_length": 64})
    bench.solutions("pool", GIVEN)
    how = {"solutions": Ref("pool"), "model": Ref("model")}
    for seed in range(6):
        program = {"uses": "revise", "template": "{asked}\n{attempts}\n"}
        artifact = bench.make(f"c{seed}", "revision_chains", seed=seed, program=program, **how)
        [row] = [Solution.from_row(one) for one in rows_of(artifact)]
        assert len(row.prompt_ids) + len(row.token_ids) <= 64
        if row.turn:
            assert row.prompt.count("Answer: 21") == 1


def test_no_right_solution_at_all_is_refused(bench: Bench, one_thread: None) -> None:
    bench.model()
    bench.solutions("pool", [attempt(0, 21)])
    with pytest.raises(GateError, match="revision_chains: 0 rows, fewer than min_rows=1"):
        bench.make("c", "revision_chains", solutions=Ref("pool"), model=Ref("model"))


def test_attempts_that_the_tokenizer_cannot_read_are_not_shown(bench: Bench, one_thread: None) -> None:
    bench.model()
    odd = solution("p", "AnswerAnswer 7", sample=9, question=QUESTION, answer="7", verdict="wrong")
    bench.solutions("pool", [attempt(0, 20), odd])
    for seed in range(4):
        made = bench.make(f"c{seed}", "revision_chains", seed=seed, solutions=Ref("pool"), model=Ref("model"))
        [row] = rows_of(made)
        assert row["turn"] == 0 and made.manifest["counts"]["unreadable_attempts"] == 1
