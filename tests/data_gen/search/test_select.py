"""Selectors: what every first-play value and prior is worth by hand, ties, and what keeps a choice when values are
rescaled."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.search.node import Node
from data_gen.search.select import Fpu, Puct, Ucb


def family(*children: dict[str, Any], visits: int = 9, total: float = 3.6) -> Node:
    """A parent of Q = .4 with these children."""
    parent = Node(id=0, parent=None, token_ids=(), text="", visits=visits, total=total)
    parent.children = [
        Node(id=i, parent=parent, **{"token_ids": (i, i), "text": "", **c}) for i, c in enumerate(children, 1)
    ]
    return parent


FIRST_PLAY: dict[str, float] = {"zero": 0.0, "half": 0.5, "inf": math.inf, "parent": 0.4, "value": 0.7, "reward": -0.2}


@pytest.mark.parametrize("fpu", FIRST_PLAY)
@pytest.mark.parametrize("kind", [Puct, Ucb])
def test_an_unvisited_child_is_worth_what_its_first_play_says(kind: Any, fpu: Fpu) -> None:
    parent = family({"value": 0.7, "reward": -0.2}, {"visits": 2, "total": 1.2, "value": 0.7, "reward": -0.2})
    fresh, seen = parent.children
    assert kind(fpu=fpu).worth(fresh, parent) == FIRST_PLAY[fpu]
    assert kind(fpu=fpu).worth(seen, parent) == pytest.approx(0.6)


def test_every_first_play_value_is_tested() -> None:
    assert set(FIRST_PLAY) == set(get_args(Fpu))


def test_what_is_not_known_is_worth_nothing() -> None:
    """No value yet, or a parent that was never visited."""
    parent = family({}, visits=0, total=0.0)
    assert (
        Puct(fpu="value").worth(parent.children[0], parent)
        == Puct(fpu="parent").worth(parent.children[0], parent)
        == 0.0
    )


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        # Two tokens each of log-prob -1 (draws 1) and -2 (draws 3) together.
        ("mean_prob", [math.exp(-0.5), math.exp(-1.0)]),
        ("prob", [math.exp(-1.0), math.exp(-2.0)]),
        ("length_penalised", [math.exp(-1.0 / 2**1.25), math.exp(-2.0 / 2**1.25)]),
        ("draws", [0.25, 0.75]),
        ("uniform", [0.5, 0.5]),
    ],
)
def test_priors_by_hand(prior: Any, expected: list[float]) -> None:
    parent = family({"logprob": -1.0}, {"logprob": -2.0, "draws": 3})
    Puct(prior=prior).set_priors(parent)
    assert [child.prior for child in parent.children] == pytest.approx(expected)
    Puct(prior=prior, normalise="siblings").set_priors(parent)
    assert [child.prior for child in parent.children] == pytest.approx([p / sum(expected) for p in expected])


def test_priors_of_what_was_drawn_without_log_probs_are_refused() -> None:
    parent = family({"logprob": None}, {"logprob": None, "draws": 3})
    for prior in ("mean_prob", "prob", "length_penalised"):
        with pytest.raises(
            UserError,
            match=r"gave no log-probs with the step '', which .* needs. Use `select: {uses: puct, prior: draws}`",
        ):
            Puct(prior=prior).set_priors(parent)  # type: ignore[arg-type]
    Puct(prior="draws").set_priors(parent)
    assert [child.prior for child in parent.children] == [0.25, 0.75]


def test_scores_by_hand() -> None:
    """N(parent) = 9. PUCT: .6 + 2 * .5 * 3 / (1 + 2). UCB: .6 + 2 * sqrt(2 ln 9 / 2); unvisited, the first-play value
    alone."""
    parent = family({"visits": 2, "total": 1.2, "prior": 0.5}, {"prior": 0.5})
    seen, fresh = parent.children
    assert Puct(c=2.0).score(seen, parent) == pytest.approx(1.6) and Puct(c=2.0).score(fresh, parent) == pytest.approx(
        3.0
    )
    assert Ucb(c=2.0).score(seen, parent) == pytest.approx(0.6 + 2 * math.sqrt(math.log(9)))
    assert Ucb(c=2.0, fpu="half").score(fresh, parent) == 0.5


def test_among_equals_the_better_value_and_then_the_older_is_chosen() -> None:
    parent = family({"value": 0.1}, {"value": 0.3}, {"value": 0.3})
    assert Ucb(fpu="inf").choose(parent, parent.children) is parent.children[1]


stats = st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(0, 8))


@given(
    st.lists(stats, min_size=1, max_size=5),
    st.sampled_from(["zero", "inf", "parent", "value"]),
    st.sampled_from([0.0, 1.0]),
)
def test_ucb_on_half_the_scale_with_half_of_c_chooses_the_same(
    children: list[tuple[int, int, int]], fpu: Any, value_visits: float
) -> None:
    """[-1, 1] with first play 0 against [0, 1] with first play 1/2; Q and values in eighths, so that ties stay ties."""

    def chosen(kind: str) -> int:
        def scaled(x: float) -> float:
            return x if kind == "signed" else (x + 1) / 2

        rows = [{"visits": n, "total": n * scaled(q / 4 - 1), "value": scaled(v / 4 - 1)} for n, q, v in children]
        visits = 1 + sum(n for n, _, _ in children)
        parent = family(*rows, visits=visits, total=visits * scaled(0.25))
        middle = {"zero": "half"}.get(fpu, fpu) if kind == "p" else fpu
        c = 1.0 if kind == "signed" else 0.5
        return Ucb(c=c, fpu=middle, value_visits=value_visits).choose(parent, parent.children).id

    assert chosen("signed") == chosen("p")
