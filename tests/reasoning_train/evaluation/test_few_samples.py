"""The few samples of a problem: which they are, what they say, what they cost, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.trees import Tree, TreeNode
from reasoning_train.evaluation.difficulty import Difficulty, FewSamples
from reasoning_train.evaluation.difficulty.agreement import Agreement
from reasoning_train.evaluation.difficulty.likelihood import MeanLikelihood
from reasoning_train.evaluation.difficulty.score import MeanScore
from reasoning_train.evaluation.few_samples import few_of, read_samples, read_tree
from reasoning_train.evaluation.vote_costs import Cost
from tests.reasoning_train.bench import solution
from tests.reasoning_train.stages.test_evaluate_trees import POOL, tree


def sampled(*answers: str | None, name: str = "p0") -> list[Solution]:
    """Solutions of three tokens, of which 12 is right."""
    step = (Segment(kind=Kind.STEP, text="x", token_ids=(1, 2, 3)),)
    return [
        solution(
            name,
            "",
            sample=i,
            answer=answer,
            verdict="correct" if answer == "12" else "wrong",
            segments=step,
            logprobs=(-0.25, -0.5, -0.75),
        )
        for i, answer in enumerate(answers)
    ]


def read(found: Tree, n: int, by: Difficulty) -> Any:
    return read_tree(found, float, n, by)


def test_agreement_counts_all_samples() -> None:
    """Two of four agree; a sample without an answer agrees with none; nothing at all is the hardest."""
    reading = read_samples(sampled("12", "8", "8", None), float, 4, Agreement())
    assert (reading.ease, reading.pass_rate, reading.cost) == (0.5, 0.25, Cost(12.0, 0.0, 4.0))
    assert read_samples(sampled(None, None), float, 2, Agreement()).ease == 0.0
    assert read_samples(sampled("12", "012"), float, 2, Agreement()).ease == 1.0


def test_likelihood_is_a_mean_of_means() -> None:
    assert read_samples(sampled("12", "8"), float, 2, MeanLikelihood()).ease == -0.5
    silent = [replace(one, logprobs=()) for one in sampled("12", "8")]
    with pytest.raises(
        UserError, match=r"estimate\.by: 'likelihood' reads log-probabilities, but a sample of 'p0' has"
    ):
        read_samples(silent, float, 2, MeanLikelihood())


def test_a_tree_costs_its_paths_and_what_a_verifier_read() -> None:
    """Four paths of four tokens, of which a verifier read 6 tokens in all; one path is dead and scores nothing."""
    voted, scored = read(POOL, 4, Agreement()), read(POOL, 4, MeanScore())
    assert (voted.ease, voted.pass_rate, voted.cost) == (0.5, 0.25, Cost(16.0, 0.0, 4.0))
    assert scored.ease == pytest.approx((0.5 + 0.4 + 0.4) / 4) and scored.cost == Cost(16.0, 6.0, 4.0)
    assert read(POOL, 2, MeanScore()).cost == Cost(8.0, 3.0, 2.0)
    # A scorer that drew 8 more tokens in 12 more completions: only its reader pays for them.
    rolled = replace(POOL, generated_tokens=24, requests=16)
    assert read(rolled, 2, MeanScore()).cost == Cost(12.0, 3.0, 8.0)
    assert read(rolled, 2, Agreement()).cost == Cost(8.0, 0.0, 2.0)


def test_a_score_may_aggregate_steps() -> None:
    """Steps of 0.8 and 0.5; signed values become probabilities first; a step without a value is told."""
    root, step, end = (
        TreeNode(node=0, parent=-1, depth=0, text="Q", token_ids=(1,)),
        TreeNode(node=1, parent=0, depth=1, text="a", token_ids=(2,), value=0.8),
        TreeNode(
            node=2, parent=1, depth=2, text="b", token_ids=(3,), value=0.5, terminal="answer", answer="12", votes=1
        ),
    )
    path = Tree(problem_id="p0", sample=0, nodes=(root, step, end), scale="p", search="best_of_n")
    eases = {how: read(path, 1, MeanScore(aggregate=how)).ease for how in ("last", "min", "mean", "prod")}
    assert eases == pytest.approx({"last": 0.5, "min": 0.5, "mean": 0.65, "prod": 0.4})
    signed = replace(path, scale="signed")
    assert read(signed, 1, MeanScore(aggregate="mean")).ease == pytest.approx((0.9 + 0.75) / 2)
    unread = replace(path, nodes=(root, replace(step, value=None), end))
    assert read(unread, 1, MeanScore()).ease == 0.5
    with pytest.raises(UserError, match="aggregate 'min' reads a verifier's values, but a sample of 'p0' has steps w"):
        read(unread, 1, MeanScore(aggregate="min"))


def test_rankings_compare_no_problems() -> None:
    with pytest.raises(UserError, match="on the scale 'ranking' and order the samples of one problem only"):
        read(replace(POOL, scale="ranking"), 4, MeanScore())
    assert read(replace(POOL, scale="ranking"), 4, Agreement()).ease == 0.5


def test_a_pool_may_be_larger_but_not_smaller() -> None:
    with pytest.raises(UserError, match=r"estimate\.n is 5, but the pool of 'p0' holds 4 samples\. Draw a larger pool"):
        read(POOL, 5, Agreement())
    # Over many problems every path is drawn as often as any other.
    counts = Counter(i for p in range(600) for i in few_of(4, 2, f"p{p}"))
    assert set(counts) == {0, 1, 2, 3} and all(240 < n < 360 for n in counts.values())


def test_the_order_of_a_pool_decides_nothing_in_whole() -> None:
    leaves = [("12", 1.0, 1, 0.5), ("8", 0.0, 2, 0.4)]
    assert read(tree("p0", *leaves), 3, Agreement()) == read(tree("p0", *leaves[::-1]), 3, Agreement())


def test_a_sample_that_no_verifier_read() -> None:
    with pytest.raises(UserError, match="'p0' has steps without one"):
        MeanScore().ease(FewSamples(problem_id="p0", classes=(0,), values=((None,),)))
