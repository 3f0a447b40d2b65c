"""Path policies and the solution rows of their paths, on trees by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given

from data_gen.errors import UserError
from data_gen.labelling.paths import Path, PathPolicy
from data_gen.labelling.reach import ends
from data_gen.labelling.solutions import path_solutions
from data_gen.labelling.steps import in_steps
from data_gen.records.trees import Tree
from data_gen.records.verdict import Verdict
from tests.data_gen.labelling.plant import CODEC, END, answer, cut, ids_of, rollout, step, trees, view


def choose(*given: Any, seed: int = 0, whole: bool = True, **policy: Any) -> tuple[list[Path], dict[str, int]]:
    """Of one tree for each entry."""
    seen = [view(*specs, sample=i).tree for i, specs in enumerate(given)]
    paths, dropped = PathPolicy(**policy).choose(seen, random.Random(seed), whole=whole)
    return paths, dict(+dropped)


def texts(paths: list[Path]) -> list[str]:
    return [path.text.replace("\n", " ") for path in paths]


FOUR = (
    # Mean Q (1/4 + 1) / 2 = 0.625, 6 tokens.
    step("a", answer(1, visits=1, total=1.0, logprob=-8.0), visits=4, total=1.0),
    step("b", answer(1, visits=1, total=1.0, logprob=-1.0, draws=3), visits=2, total=2.0),  # mean Q 1
    step("c", answer(0), answer(1, None), visits=1, total=0.5),
    step("d", cut("a b")),
)


def test_k_right_and_k_wrong_and_why_the_others_are_dropped() -> None:
    paths, dropped = choose(FOUR, correct=1, wrong=4, rank="mean_q")
    assert texts(paths) == ["b Answer: 1", "c Answer: 0"]
    assert dropped == {"max_per_problem": 1, "unverifiable": 1, "cut_by_length_limit": 1}


@pytest.mark.parametrize(
    ("rank", "first"), [("mean_q", "b"), ("low_perplexity", "b"), ("high_perplexity", "a"), ("draws", "b")]
)
def test_the_best_in_rank_come_first(rank: str, first: str) -> None:
    paths, _ = choose(FOUR, correct=2, rank=rank)
    assert [path.nodes[0].text.strip() for path in paths] == [first, {"a": "b", "b": "a"}[first]]


def test_rank_features_by_hand() -> None:
    [best, other], _ = choose(FOUR, correct=2, rank="mean_q")
    assert (best.mean_q, other.mean_q) == (1.0, 0.625)
    assert other.perplexity == pytest.approx(2.718281828 ** (8 / 6))  # 6 tokens: a, newline, Answer, :, 1, end
    [unvisited], _ = choose((rollout("a", 1),), rank="mean_q")
    assert unvisited.mean_q == float("-inf")


def test_perplexity_of_what_no_engine_scored_is_refused() -> None:
    for spec in (step("a", answer(1, logprob=-1.0), logprob=None), rollout("ab", 1, logprob=None)):
        assert texts(choose((spec,), rank="mean_q")[0])
        with pytest.raises(
            UserError, match="Perplexity needs log-probs, but the tree of problem 'p' has steps without"
        ):
            choose((spec,), rank="low_perplexity")


def test_equal_solutions_of_two_trees_count_once() -> None:
    paths, dropped = choose((step("a", answer(1)),), (step("a", answer(1)), step("b", answer(1))), correct=None)
    assert sorted(texts(paths)) == ["a Answer: 1", "b Answer: 1"]
    assert dropped == {"duplicate": 1}


def test_near_duplicates_by_word_trigrams() -> None:
    """Steps `a b c d e` and `a b c d f` share 2 of their 4 + 4 trigrams with what follows: J = 2/8."""
    both = (step("a b c d e", answer(1)), step("a b c d f", answer(1)))
    assert len(choose(both, correct=None, dedupe="near", near=0.25)[0]) == 1
    assert len(choose(both, correct=None, dedupe="near", near=0.26)[0]) == 2


def test_right_answers_with_a_wrong_step_can_be_left_out() -> None:
    given = (step("a", answer(1, steps_ok=False)), step("b", answer(1, steps_ok=True)), step("c", answer(1)))
    paths, dropped = choose(given, correct=None, steps="right")
    assert sorted(texts(paths)) == ["b Answer: 1", "c Answer: 1"]  # nobody said that c is wrong
    assert dropped == {"wrong_step": 1}


def test_choices_derive_from_the_stream_alone() -> None:
    many = tuple(step(f"{x} {y}", answer(1)) for x in "abcdef" for y in "abcdef")
    first, again, other = (texts(choose(many, correct=5, seed=seed)[0]) for seed in (1, 1, 2))
    assert first == again != other


def test_rows_are_whole_solutions_with_a_stop_token() -> None:
    paths, _ = choose((step("a", answer(1)), rollout("bc", 1), step("d", answer(0))), correct=None, wrong=None)
    rows = {row.text: row for row in path_solutions(paths, CODEC)}
    row = rows["b\nc\nAnswer: 1"]
    assert [(s.kind, s.text, s.token_ids) for s in row.segments] == [
        ("step", "b\n", ids_of("b\n")),
        ("step", "c\n", ids_of("c\n")),
        ("answer", "Answer: 1", ids_of("Answer: 1")),
        ("end", "", (END,)),
    ]
    assert (row.prompt, row.prompt_ids, row.verdict, row.finish, row.answer) == (
        "go\n",
        tuple(CODEC.prompt_ids("go")),
        Verdict.CORRECT,
        "stop",
        "1",
    )
    assert rows["d\nAnswer: 0"].verdict is Verdict.WRONG
    assert sorted(row.sample for row in rows.values()) == [0, 1, 2]


def test_an_answer_that_its_line_ended_gets_the_stop_token() -> None:
    paths, _ = choose(
        (
            step(
                "a",
                (
                    "Answer: 1\n",
                    (),
                    {"terminal": "answer", "answer": "1", "outcome": 1.0, "token_ids": ids_of("Answer: 1\n")},
                ),
            ),
        )
    )
    [row] = path_solutions(paths, CODEC)
    assert row.token_ids == (*ids_of("a\nAnswer: 1\n"), END)


def test_cut_ends_serve_values_but_no_imitation() -> None:
    given = (step("a", answer(1)), step("b", cut("c d")))
    assert len(choose(given, wrong=4)[0]) == 1
    paths, _ = choose(given, wrong=4, whole=False)
    [_, row] = path_solutions(paths, CODEC)
    assert (row.finish, row.segments[-1].token_ids[-1] == END) == ("length", False)


@pytest.mark.parametrize(
    ("weights", "wanted"), [("one", [1.0, 1.0, 0.0]), ("problem", [0.5, 0.5, 0.0]), ("draws", [3.0, 1.0, 0.0])]
)
def test_weights_and_none_for_wrong_rows(weights: Any, wanted: list[float]) -> None:
    paths, _ = choose(FOUR, wrong=1, rank="draws")
    assert [row.weight for row in path_solutions(paths, CODEC, weights)] == wanted


@given(trees)
def test_unverifiable_ends_are_in_no_set_and_all_others_accounted_for(tree: Tree) -> None:
    seen = in_steps(tree, CODEC)
    paths, dropped = PathPolicy(correct=2, wrong=2).choose([seen], random.Random(0), whole=True)
    assert all(path.leaf.outcome in (0.0, 1.0) for path in paths)
    assert len(paths) + dropped.total() == len(ends(seen))
    assert dropped["unverifiable"] == sum(end.outcome is None for end in ends(seen))
    for row in path_solutions(paths, CODEC):
        assert row.verdict in (Verdict.CORRECT, Verdict.WRONG)
        assert row.token_ids.count(END) == 1 and row.token_ids[-1] == END
        assert CODEC.split(row.token_ids) == row.segments
