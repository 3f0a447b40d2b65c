"""Loss terms against numbers computed by hand."""

from __future__ import annotations

from math import exp, log

import pytest
import torch

from data_gen.records.scales import Scale
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.packing.batch import collate
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.losses.base import Outputs
from reasoning_train.trainers.losses.preference import Preference
from reasoning_train.trainers.losses.value import Ranking, Regression


def side(*ids: int) -> Trace:
    """A prompt of one token, the rest carries loss; read at its end."""
    return Trace(ids, (0.0,) + (1.0,) * (len(ids) - 1), (len(ids) - 1,), (float("nan"),), (1.0,))


def pair(weight: float = 1.0, smoothing: float = 0.0) -> Row:
    return Row(
        (side(1, 2, 3), side(1, 4, 5, 6, 7)),
        weight=weight,
        reference=(-2.0, -3.0),
        smoothing=smoothing,
        ranks=(1.0, 0.0),
    )


def outputs(
    rows: list[Row], logprobs: list[float] | None = None, raw: list[float] | None = None, head: ValueHead | None = None
) -> Outputs:
    batch = collate([rows], 0)
    return Outputs(
        batch=batch,
        logprobs=torch.tensor(logprobs or [0.0] * len(batch["token"])),
        raw=torch.tensor(raw or [0.0]),
        head=head,
    )


LOGPROBS = [-0.5, -0.7, -1.0, -1.0, -1.0, -2.0]
"""Sums: -1.2 and -5.0; against the reference +0.8 and -2.0: h = 2.8. Averages: -0.6 and -1.25."""


def sigma(x: float) -> float:
    return 1 / (1 + exp(-x))


@pytest.mark.parametrize(
    ("loss", "row", "wanted"),
    [
        (Preference(beta=0.5), pair(), -log(sigma(1.4))),
        (Preference(beta=0.5), pair(weight=3.0), -3 * log(sigma(1.4))),
        (Preference(beta=0.5, smoothing=0.25), pair(), -0.75 * log(sigma(1.4)) - 0.25 * log(sigma(-1.4))),
        (Preference(beta=0.5, smoothing=0.25), pair(smoothing=0.1), -0.9 * log(sigma(1.4)) - 0.1 * log(sigma(-1.4))),
        (Preference(beta=0.5, normalise=True), pair(), -log(sigma(0.5 * (0.4 + 0.5)))),
        (Preference(kind="ipo", beta=0.5), pair(), (2.8 - 1.0) ** 2),
        (Preference(kind="simpo", beta=2.0, gamma=0.3), pair(), -log(sigma(2 * 0.65 - 0.3))),
        (Preference(beta=0.5, sft=0.1), pair(), -log(sigma(1.4)) + 0.1 * 0.6),
    ],
)
def test_preferences_by_hand(loss: Preference, row: Row, wanted: float) -> None:
    assert loss(outputs([row], LOGPROBS)).item() == pytest.approx(wanted, rel=1e-5)
    assert loss.normalizer(row) == row.weight


@pytest.mark.parametrize(
    ("loss", "margin"), [(Preference(), 2.8), (Preference(normalise=True), 0.9), (Preference(kind="simpo"), 0.65)]
)
def test_what_preferences_watch_by_hand(loss: Preference, margin: float) -> None:
    accuracy, mean = loss.watch(outputs([pair(weight=3.0)], LOGPROBS))
    assert (accuracy.item(), mean.item()) == pytest.approx((3.0, 3 * margin), rel=1e-5)
    swapped = Row(pair().traces[::-1], reference=(-3.0, -2.0), ranks=(1.0, 0.0))
    accuracy, mean = loss.watch(outputs([swapped], LOGPROBS[2:] + LOGPROBS[:2]))
    assert (accuracy.item(), mean.item()) == pytest.approx((0.0, -margin), rel=1e-5)


def test_a_tie_is_half_right() -> None:
    row = Row((side(1, 2, 3), side(1, 4, 5)), reference=(-1.0, -1.0), ranks=(1.0, 0.0))
    assert Preference().watch(outputs([row], [-1.0] * 4))[0].item() == 0.5
    assert Ranking().watch(outputs([row], raw=[0.3, 0.3]))[0].item() == 0.5
    assert Ranking().watch(outputs([row], raw=[0.4, 0.3]))[0].item() == 1.0


def test_rankings_by_hand() -> None:
    """Two right and one wrong: the mean over 2 x 1 comparisons; ties are not compared."""
    row = Row((side(1, 2), side(1, 3), side(1, 4)), ranks=(1.0, 1.0, 0.0))
    out = outputs([row, pair(weight=2.0)], raw=[2.0, 0.5, 1.0, 0.3, -0.2])
    wanted = (-log(sigma(1.0)) - log(sigma(-0.5))) / 2 - 2 * log(sigma(0.5))
    assert Ranking()(out).item() == pytest.approx(wanted, rel=1e-5)
    assert Ranking(margin=0.5)(out).item() > wanted
    same = Row(row.traces, ranks=(1.0, 1.0, 1.0))
    assert Ranking().normalizer(same) == 0.0
    assert Ranking()(outputs([same], raw=[2.0, 0.5, 1.0])).item() == 0.0


def test_regressions_by_hand() -> None:
    one = Trace((1, 2, 3), (0.0,) * 3, (1, 2), (0.25, 1.0), (1.0, 0.5))
    signed = ValueHead(HeadConfig(activation="tanh", scale=Scale.SIGNED), 4)
    out = outputs([Row((one,))], raw=[0.0, 0.5], head=signed)
    assert Regression()(out).item() == pytest.approx(
        0.0625 + 0.5 * (float(torch.tanh(torch.tensor(0.5))) - 1) ** 2, rel=1e-5
    )
    odds = outputs([Row((one,))], raw=[0.0, 0.5], head=ValueHead(HeadConfig(), 4))
    assert Regression(kind="bce")(odds).item() == pytest.approx(log(2) - 0.5 * log(sigma(0.5)), rel=1e-5)
    assert Regression().normalizer(Row((one,))) == 1.5


def test_a_preference_needs_pairs() -> None:
    with pytest.raises(ValueError, match="rows of two traces each"):
        Preference()(outputs([Row((side(1, 2), side(1, 3), side(1, 4)), reference=(0.0,) * 3)]))
