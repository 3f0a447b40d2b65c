"""Votes over a verifier's scores of sampled solutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.search.votes import Vote
from data_gen.search.votes.abstaining import Abstaining
from data_gen.search.votes.argmax import Argmax
from data_gen.search.votes.draw import Draw
from data_gen.search.votes.filtered import Filtered
from data_gen.search.votes.first_accepted import FirstAccepted
from data_gen.search.votes.majority import Majority
from data_gen.search.votes.top_k import TopK
from data_gen.search.votes.weighted import Weighted
from data_gen.tasks.chain import Chain
from reasoning_train.evaluation.pools import Pool, Scored, elected_row
from tests.reasoning_train.bench import problem, solution


def answered(answers: Sequence[str | None]) -> list[Solution]:
    """Solutions with these answers, of which 2 is right."""
    return [solution("a", "1 + 1 = 2\n", answer=one, verdict="correct" if one == "2" else "wrong") for one in answers]


def pool_of(solutions: Sequence[Solution]) -> Pool:
    return Pool(problem("a"), list(solutions), Chain(uses="chain"), str)


@pytest.mark.parametrize(
    ("answers", "weights", "answer", "accuracy"),
    [
        (("2", "9", "2", "7"), (0.3, 0.5, 0.3, 0.1), "2", 1.0),  # 0.6 against 0.5
        (("2", "9", "2", "7"), (0.3, 0.7, 0.3, 0.1), "9", 0.0),
        (("2", "9", "2", None), (0.3, 0.6, 0.3, 0.9), None, 0.5),  # who has no answer has no vote, and equals share
        ((None, None), (0.3, 0.6), None, 0.0),
    ],
)
def test_answers_are_elected_by_summed_weights(
    answers: tuple[str | None, ...], weights: tuple[float, ...], answer: str | None, accuracy: float
) -> None:
    row = elected_row("v", Weighted(), Scored(pool_of(answered(answers)), list(weights), Scale.P))
    assert row.policy == "v" and row.accuracy == accuracy
    assert answer is None or row.answer == answer


@pytest.mark.parametrize("vote", [Argmax(), Weighted(), Draw(), Majority()], ids=lambda vote: vote.uses)
def test_a_solution_without_an_answer_casts_no_ballot(vote: Vote) -> None:
    """As in trees: it is never elected, however it scores, and is a dead one of a smaller pool."""
    scored = Scored(pool_of(answered((None, "2"))), [0.9, 0.2], Scale.P)
    assert elected_row("v", vote, scored).accuracy == 1.0
    assert elected_row("v", vote, scored, 1).accuracy == 0.5


def test_low_rankings_vote_as_high_ones_do() -> None:
    """Only differences of a ranking mean anything: e^-2 twice is less than 1, wherever its zero is."""
    pool = pool_of(answered(("2", "9", "2")))
    for zero in (-900.0, 0.0, 900.0):
        for behind, answer in ((2, "9"), (0.5, "2")):
            scored = Scored(pool, [zero - behind, zero, zero - behind], Scale.RANKING)
            assert elected_row("a", Weighted(), scored).answer == answer


def in_steps(drawn: Solution, steps: int) -> Solution:
    """The solution with so many steps of one token each."""
    return replace(drawn, segments=(Segment(kind=Kind.STEP, text="1 + 1 = 2\n", token_ids=(1,)),) * steps)


def test_a_vote_that_abstains_or_stops_in_a_stored_pool() -> None:
    """Two of four are accepted, one of them right. The first accepted comes after (4 + 1) / (2 + 1) draws in the mean,
    and each solution is charged by its chance to be drawn."""
    drawn = answered(("2", "9", "7", None))
    pool = pool_of([in_steps(one, n) for one, n in zip(drawn, (1, 2, 3, 4), strict=True)])
    scored = Scored(pool, [0.9, 0.8, 0.1, 0.95], Scale.P)
    until = elected_row("v", FirstAccepted(bar=0.5), scored)
    assert (until.accuracy, until.coverage) == (0.5, 1.0) and until.calls == pytest.approx(5 / 3)
    whole = elected_row("v", Majority(), scored)
    assert (whole.calls, whole.generated_tokens) == (4, 10)
    # Each of the accepted is drawn half of the time, each of the others in a third of the orders.
    assert until.generated_tokens == pytest.approx((1 + 2) / 2 + (3 + 4) / 3)
    strict = elected_row("v", Abstaining(vote=Majority(), bar=0.5), scored, 4)
    assert (strict.verdict, strict.answer, strict.accuracy, strict.coverage) == ("abstained", None, 0.0, 0.0)
    two = elected_row("v", FirstAccepted(bar=0.5), scored, 2)
    assert two.coverage == pytest.approx(5 / 6) and two.accuracy == pytest.approx(5 / 12)


def test_a_pool_is_voted_on_by_its_steps() -> None:
    pool = pool_of([in_steps(one, n) for one, n in zip(answered(("9", "9", "2")), (1, 1, 2), strict=True)])
    row = elected_row("v", TopK(k=1), Scored(pool, [0.5] * 3, Scale.P))
    assert (row.accuracy, row.oracle) == (1.0, False)
    gold = elected_row("v", TopK(k=1, by="step_accuracy"), Scored(pool, [0.5] * 3, Scale.P))
    assert gold.oracle


def test_a_ranking_has_no_bar() -> None:
    scored = Scored(pool_of(answered(("2", "9"))), [3.0, -1.0], Scale.RANKING)
    with pytest.raises(UserError, match="'filtered' compares scores with a bar, but 'v' ranks the solutions of one"):
        elected_row("v", Filtered(bar=0.5), scored)
    assert elected_row("v", Abstaining(vote=Majority(), bar=0.5), scored).coverage == 1.0
