"""Potentials: the table by hand, telescoping to the target, scales."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.search.algorithms.particle import Particle
from data_gen.search.node import Node
from data_gen.search.potentials import Potential
from data_gen.search.resample import Resample
from tests.data_gen.search.toy import ToyScorer, World, grow

KINDS = ("absolute", "current", "difference", "max", "sum", "final")


def factors(potential: Potential, rewards: list[float]) -> list[float]:
    """log G_1 .. log G_T of a path that ends with the last reward."""
    parts = [rewards[:t] for t in range(len(rewards) + 1)]
    gathered = [potential.gathered(part, ended=len(part) == len(rewards)) for part in parts]
    return [after - before for before, after in itertools.pairwise(gathered)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # r = .2 .5 .4 .9, lambda 1. Open factors first, the last one makes the product e^.9 (but for `absolute`).
        ("absolute", [0.2, 0.5, 0.4, 0.9]),
        ("current", [0.2, 0.5, 0.4, 0.9 - 1.1]),
        ("difference", [0.2, 0.3, -0.1, 0.5]),
        ("max", [0.2, 0.5, 0.5, 0.9 - 1.2]),
        ("sum", [0.2, 0.7, 1.1, 0.9 - 2.0]),
        ("final", [0.0, 0.0, 0.0, 0.9]),
    ],
)
def test_the_table_by_hand(kind: str, expected: list[float]) -> None:
    for lam in (1.0, 10.0):
        found = factors(Potential(kind=kind, reward="p", lam=lam), [0.2, 0.5, 0.4, 0.9])
        assert found == pytest.approx([lam * x for x in expected])


def test_max_starts_where_it_is_told() -> None:
    assert factors(Potential(kind="max", reward="odds"), [-2.0, -1.0, 3.0]) == pytest.approx([0.0, 0.0, 3.0])
    assert factors(Potential(kind="max", reward="odds", start=-5), [-2.0, -1.0, 3.0]) == pytest.approx(
        [-2.0, -1.0, 6.0]
    )


@given(st.sampled_from(KINDS), st.lists(st.floats(-50, 50), min_size=1, max_size=12), st.floats(0.01, 20))
def test_factors_telescope(kind: str, rewards: list[float], lam: float) -> None:
    potential = Potential(kind=kind, reward="odds", lam=lam)
    end = lam * (rewards[-1] if potential.telescopes else sum(rewards))
    assert sum(factors(potential, rewards)) == pytest.approx(
        end, rel=1e-9, abs=1e-9 * lam * (1 + sum(map(abs, rewards))) * len(rewards)
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "absolute"])
@pytest.mark.parametrize("ess", [0.0, 0.5, 1.0])
def test_on_a_tree_they_telescope_with_and_without_resampling(kind: str, ess: float) -> None:
    """Round by round over every finished path of a real run, to 1e-9, whatever was resampled in between."""
    world, potential = World.random(11), Potential(kind=kind, reward="log_p", lam=3)
    search = Particle(n=8, potential=potential, resample=Resample(ess=ess))
    [tree] = grow(search, world, scorer=ToyScorer(world.value), gold=False)
    ends = [node for node in tree.nodes if node.votes]
    assert len(ends) > 1
    for end in ends:
        total = sum(
            potential.factor(above, node, Scale.P) for above, node in itertools.pairwise([tree.root, *end.path()])
        )
        assert total + potential.factor(end, end, Scale.P) == pytest.approx(
            3 * potential.reward_of(end.value or 0.0, Scale.P), abs=1e-9
        )


def test_rewards_of_a_value() -> None:
    """A signed 0.5 is P(correct) 0.75."""
    found = {
        reward: Potential(reward=reward).reward_of(0.5, Scale.SIGNED) for reward in ("p", "signed", "log_p", "odds")
    }
    assert found == pytest.approx({"p": 0.75, "signed": 0.5, "log_p": math.log(0.75), "odds": math.log(3)})
    assert Potential(reward="log_p").reward_of(0.0, Scale.P) == pytest.approx(math.log(1e-4))
    assert Potential(reward="odds").reward_of(0.0, Scale.P) == pytest.approx(math.log(1e-4 / (1 - 1e-4)))


@pytest.mark.parametrize("scale", [Scale.RANKING, Scale.PROGRESS])
def test_what_is_no_probability_weighs_nothing(scale: Scale) -> None:
    world = World.random(0)
    with pytest.raises(UserError, match=f"scale '{scale}' cannot be read as 'odds'"):
        grow(Particle(n=2, scale=scale), world, scorer=ToyScorer(lambda path: 0.5, scale), gold=False)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6), st.sampled_from(KINDS), st.floats(0.1, 10))
def test_half_of_lambda_on_the_signed_scale(values: list[float], kind: str, lam: float) -> None:
    """Factors of p with lambda and of 2p - 1 with lambda / 2 differ by what is the same for all paths of one length."""
    p, signed = Potential(kind=kind, reward="p", lam=lam), Potential(kind=kind, reward="signed", lam=lam / 2, start=-1)
    ones = [2 * v - 1 for v in values]
    neutral = factors(signed, [-1.0] * len(values))
    shifted = [a - b for a, b in zip(factors(signed, ones), neutral, strict=True)]
    assert shifted == pytest.approx(factors(p, values), abs=1e-9)


def test_a_path_that_has_ended_counts_once_or_in_every_round() -> None:
    node = Node(
        id=1,
        parent=Node(id=0, parent=None, token_ids=(), text=""),
        token_ids=(1,),
        text="",
        terminal="answer",
        value=0.75,
    )
    assert [Potential(kind=kind).factor(node, node, Scale.P) for kind in KINDS[1:]] == [0.0] * 5
    assert Potential(lam=2).factor(node, node, Scale.P) == pytest.approx(2 * math.log(3))


def test_all_kinds_are_tested() -> None:
    assert set(KINDS) == set(get_args(Potential.model_fields["kind"].annotation))
