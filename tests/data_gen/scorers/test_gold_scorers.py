"""`exact_steps` and `oracle`: by hand, seeded per prefix, noise of the size that was asked for."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import log_odds, sigmoid
from data_gen.scorers import SCORERS, GrantedGold, Scorer, Tools
from data_gen.tasks.base import Task
from tests.data_gen.scorers.prefixes import prefix, problem, score
from tests.data_gen.search.toy import CODEC, ToyTask, World, grow, letters_of

ASKED = problem(question="go", gold="1")


def opened(uses: str, *, task: Task | None = None, seed: int = 0, **options: Any) -> Scorer:
    config = SCORERS.get(uses).model_validate({"uses": uses, **options})
    return config.open(Tools(codec=CODEC, gold=GrantedGold(task or ToyTask(wrong=("b",)), CODEC), seed=seed))


def over(*steps: str, answer: str | None) -> Prefix:
    return prefix(CODEC, *steps, of=ASKED, closing=f"Answer: {answer}" if answer else "", answer=answer, ended=True)


CASES = [
    (prefix(CODEC, of=ASKED), 1.0),
    (prefix(CODEC, "a", "c", of=ASKED), 1.0),
    (prefix(CODEC, "a", "b", "c", of=ASKED), 0.0),
    (over("a", answer="1"), 1.0),
    (over("a", answer="0"), 0.0),
    (over("b", answer="1"), 0.0),
    (over("a", answer=None), 0.0),
]


def test_exact_steps_by_hand() -> None:
    scorer = opened("exact_steps")
    assert [found.value for found in score(scorer, [asked for asked, _ in CASES])] == [value for _, value in CASES]


def test_an_oracle_without_noise_is_exact() -> None:
    for options, right in (
        ({"noise": "log_odds", "signal": 2.0}, sigmoid(2.0)),
        ({"noise": "uniform", "signal": 50.0}, 1.0),
    ):
        found = score(opened("oracle", amount=0.0, **options), [asked for asked, _ in CASES])
        assert [s.value for s in found] == pytest.approx([right if value else 1 - right for _, value in CASES])


def many(n: int) -> list[Prefix]:
    rng = random.Random(0)
    return [prefix(CODEC, *rng.choices("abc", k=6), of=problem(f"p{i}", question="go", gold="1")) for i in range(n)]


def test_noise_in_log_odds_has_the_size_that_was_asked_for() -> None:
    """3,000 prefixes: mean and standard deviation within 4 standard errors; AUC Phi(sqrt(2) * signal / amount)."""
    asked = many(3000)
    odds = [log_odds(found.value) for found in score(opened("oracle", amount=2.0, signal=1.5), asked)]
    right = ["b" not in p.steps for p in asked]
    noise = [o - (1.5 if ok else -1.5) for o, ok in zip(odds, right, strict=True)]
    assert abs(statistics.mean(noise)) < 4 * 2 / math.sqrt(3000)
    assert statistics.stdev(noise) == pytest.approx(2.0, rel=4 / math.sqrt(6000))
    good, bad = ([o for o, ok in zip(odds, right, strict=True) if ok is side] for side in (True, False))
    auc = statistics.mean(g > b for g in good for b in bad)
    assert auc == pytest.approx(statistics.NormalDist().cdf(math.sqrt(2) * 1.5 / 2.0), abs=0.05)


def test_uniform_noise_is_mixed_in() -> None:
    asked = many(2000)
    values = [found.value for found in score(opened("oracle", noise="uniform", amount=0.4, signal=50.0), asked)]
    uniform = [(v - (0.6 if "b" not in p.steps else 0.0)) / 0.4 for v, p in zip(values, asked, strict=True)]
    assert all(0 <= u <= 1 for u in uniform)
    assert statistics.mean(uniform) == pytest.approx(0.5, abs=4 / math.sqrt(12 * 2000))


def test_noise_follows_from_seed_problem_and_prefix_alone() -> None:
    asked = many(50)
    values = [s.value for s in score(opened("oracle"), asked)]
    assert [s.value for s in score(opened("oracle"), asked[::-1])][::-1] == values
    assert [score(opened("oracle"), [p])[0].value for p in asked] == values
    assert len(set(values)) == 50
    assert all(a != b.value for a, b in zip(values, score(opened("oracle", seed=1), asked), strict=True))
    twins = [prefix(CODEC, "a", of=problem(name, question="go", gold="1")) for name in ("p", "q")]
    assert len({s.value for s in score(opened("oracle"), twins)}) == 2


def test_searches_run_on_them() -> None:
    from data_gen.search.algorithms.best_of_n import BestOfN

    world, scorer = World.random(3), opened("exact_steps", task=ToyTask(wrong=("b",)))
    for tree in grow(BestOfN(n=8), world, scorer=scorer, runs=5, task=ToyTask(wrong=("b",))):
        for leaf in tree.nodes[1:]:
            assert leaf.value == float("b" not in letters_of(leaf.solution) and leaf.outcome == 1.0)


class Blind(ToyTask):
    """A task that cannot check steps."""

    def check_steps(self, problem: Any, steps: Any) -> None:
        return None


@pytest.mark.parametrize("uses", ["exact_steps", "oracle"])
def test_what_they_need(uses: str) -> None:
    with pytest.raises(UserError, match=f"scorer.{uses} needs gold answers, which this stage does not grant"):
        SCORERS.get(uses).model_validate({"uses": uses}).open(Tools(codec=CODEC))
    with pytest.raises(UserError, match=f"scorer.{uses} needs a task that can check steps .* problem 'p' cannot"):
        score(opened(uses, task=Blind()), [prefix(CODEC, "a", of=ASKED)])
    assert SCORERS.get(uses).model_validate({"uses": uses}).needs_gold


def test_shares_of_noise_end_at_one() -> None:
    with pytest.raises(ValidationError, match="a share of noise must lie in"):
        SCORERS.get("oracle").model_validate({"uses": "oracle", "noise": "uniform", "amount": 1.5})
