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
from reasoning_train.trainers.losses.base import Loss, Needs
from reasoning_train.trainers.losses.bce import BCE
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.losses.dpo import DPO
from reasoning_train.trainers.losses.entropy import Entropy
from reasoning_train.trainers.losses.ipo import IPO
from reasoning_train.trainers.losses.mse import MSE
from reasoning_train.trainers.losses.orpo import ORPO
from reasoning_train.trainers.losses.preference import Preference
from reasoning_train.trainers.losses.ranking import Ranking
from reasoning_train.trainers.losses.sft import SFT
from reasoning_train.trainers.losses.simpo import SimPO
from reasoning_train.trainers.losses.sparse_kl import SparseKL
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.outputs import Outputs
from tests.data_gen.engines.tiny import model


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
        (DPO(beta=0.5), pair(), -log(sigma(1.4))),
        (DPO(beta=0.5), pair(weight=3.0), -3 * log(sigma(1.4))),
        (DPO(beta=0.5, label_smoothing=0.25), pair(), -0.75 * log(sigma(1.4)) - 0.25 * log(sigma(-1.4))),
        (DPO(beta=0.5, label_smoothing=0.25), pair(smoothing=0.1), -0.9 * log(sigma(1.4)) - 0.1 * log(sigma(-1.4))),
        (DPO(beta=0.5, length_normalised=True), pair(), -log(sigma(0.5 * (0.4 + 0.5)))),
        (IPO(beta=0.5), pair(), (2.8 - 1.0) ** 2),
        (IPO(beta=0.5, length_normalised=True), pair(), (0.9 - 1.0) ** 2),
        (SimPO(beta=2.0, gamma=0.3), pair(), -log(sigma(2 * 0.65 - 0.3))),
        (ORPO(), pair(), -log(sigma(log(exp(-0.6) / (1 - exp(-0.6))) - log(exp(-1.25) / (1 - exp(-1.25)))))),
        (SFT(), pair(weight=2.0), 2 * 0.6),
    ],
)
def test_preferences_by_hand(loss: Loss, row: Row, wanted: float) -> None:
    assert loss(outputs([row], LOGPROBS)).item() == pytest.approx(wanted, rel=1e-5)
    assert loss.normalizer(row) == row.weight


@pytest.mark.parametrize(("loss", "margin"), [(DPO(), 2.8), (DPO(length_normalised=True), 0.9), (SimPO(), 0.65)])
def test_what_preferences_watch_by_hand(loss: Preference, margin: float) -> None:
    accuracy, mean = loss.watch(outputs([pair(weight=3.0)], LOGPROBS))
    assert (accuracy.item(), mean.item()) == pytest.approx((3.0, 3 * margin), rel=1e-5)
    swapped = Row(pair().traces[::-1], reference=(-3.0, -2.0), ranks=(1.0, 0.0))
    accuracy, mean = loss.watch(outputs([swapped], LOGPROBS[2:] + LOGPROBS[:2]))
    assert (accuracy.item(), mean.item()) == pytest.approx((0.0, -margin), rel=1e-5)


def test_a_tie_is_half_right() -> None:
    row = Row((side(1, 2, 3), side(1, 4, 5)), reference=(-1.0, -1.0), ranks=(1.0, 0.0))
    assert DPO().watch(outputs([row], [-1.0] * 4))[0].item() == 0.5
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
    assert MSE()(out).item() == pytest.approx(0.0625 + 0.5 * (float(torch.tanh(torch.tensor(0.5))) - 1) ** 2, rel=1e-5)
    odds = outputs([Row((one,))], raw=[0.0, 0.5], head=ValueHead(HeadConfig(), 4))
    assert BCE()(odds).item() == pytest.approx(log(2) - 0.5 * log(sigma(0.5)), rel=1e-5)
    assert MSE().normalizer(Row((one,))) == 1.5


def test_a_preference_needs_pairs() -> None:
    with pytest.raises(ValueError, match="rows of two traces each"):
        DPO()(outputs([Row((side(1, 2), side(1, 3), side(1, 4)), reference=(0.0,) * 3)]))


def read_of(row: Row, logits: list[list[float]]) -> tuple[Outputs, torch.Tensor]:
    """What losses read of such logits at the predicted tokens, without sharing; and their log-probabilities."""
    batch, logp = collate([[row]], 0), torch.tensor(logits).log_softmax(-1)
    read = {"entropy": -(logp.exp() * logp).sum(-1)}
    read |= {name: logp.gather(-1, batch[name]) for name in batch if name.startswith("ids.")}
    chosen = logp.gather(-1, batch["predict_label"][:, None])[:, 0]
    return Outputs(batch=batch, logprobs=chosen, raw=torch.zeros(0), read=read), logp


def test_entropy_by_hand() -> None:
    """ln 2 between two tokens, 0 where one is certain; the second token counts twice."""
    row = Row((Trace((0, 1, 1), (0.0, 1.0, 2.0)),))
    out, _ = read_of(row, [[0.0, 0.0], [-80.0, 80.0]])
    assert Entropy()(out).item() == pytest.approx(log(2), rel=1e-6)
    assert Entropy().normalizer(row) == 3.0 and Entropy().weight < 0
    out, _ = read_of(row, [[-80.0, 80.0], [0.0, 0.0]])
    assert Entropy()(out).item() == pytest.approx(2 * log(2), rel=1e-6)
    with pytest.raises(ValueError, match="0 changes nothing; expected a negative number"):
        Entropy(weight=0.0)


def taught(*rows: tuple[tuple[int, float], ...]) -> Row:
    """One predicted token for every row: the teacher's (id, probability)."""
    ids = (0,) * (len(rows) + 1)
    told = ((rows[0], *rows)[i] for i in range(len(ids)))
    pairs_ = [tuple(zip(*entries, strict=True)) for entries in told]
    columns = {
        "teacher_ids": tuple(ids_ for ids_, _ in pairs_),
        "teacher_logprobs": tuple(tuple(log(p) if p else float("-inf") for p in ps) for _, ps in pairs_),
    }
    return Row((Trace(ids, (0.0,) + (1.0,) * len(rows), columns=columns),))


def test_sparse_kl_by_hand() -> None:
    """The student gives 0.5, 0.3, 0.1, 0.1; the teacher names tokens 1 and 0 with 0.6 and 0.2, so 0.2 are left."""
    student = [log(p) for p in (0.5, 0.3, 0.1, 0.1)]
    row = taught(((1, 0.6), (0, 0.2)))
    out, _ = read_of(row, [student])
    wanted = 0.6 * log(0.6 / 0.3) + 0.2 * log(0.2 / 0.5) + 0.2 * log(0.2 / 0.2)
    assert SparseKL()(out).item() == pytest.approx(wanted, rel=1e-5)
    within = 0.75 * log(0.75 / 0.375) + 0.25 * log(0.25 / 0.625)
    assert SparseKL(residual=False)(out).item() == pytest.approx(within, rel=1e-5)
    assert SparseKL().normalizer(row) == 1.0


def test_sparse_kl_of_all_tokens_is_the_kl_and_its_gradient() -> None:
    """With the whole vocabulary named nothing is left; tokens of probability 0 cost nothing and have a gradient."""
    teacher = (0.7, 0.2, 0.1, 0.0)
    out, _ = read_of(taught(tuple(enumerate(teacher))), [[0.3, -0.2, 0.9, 0.1]])
    logits = torch.tensor([[0.3, -0.2, 0.9, 0.1]], requires_grad=True)
    out.read = {"ids.teacher_ids": logits.log_softmax(-1)}
    loss = SparseKL(residual=False)(out)
    loss.backward()
    kl = sum(t * (log(t) - q) for t, q in zip(teacher, logits.log_softmax(-1)[0].tolist(), strict=True) if t)
    assert loss.item() == pytest.approx(kl, rel=1e-5)
    assert logits.grad is not None
    assert torch.allclose(logits.grad, logits.softmax(-1).detach() - torch.tensor([teacher]), atol=1e-6)


def test_what_no_loss_needs_is_not_there() -> None:
    out, _ = read_of(pair(), [[0.0] * 8] * 6)
    for ask in (lambda: out.logprobs_of("ids"), lambda: out.top(2), lambda: out.hidden(3)):
        with pytest.raises(KeyError, match="no loss asked for .*; name it in `needs`"):
            ask()


def test_needs_of_several_losses_are_joined() -> None:
    both = Needs(top=3, layers=(1,)) | Needs(entropy=True, top=2, ids=("a",), layers=(1, -1))
    assert both == Needs(entropy=True, top=3, ids=("a",), layers=(1, -1))


def test_losses_of_one_name_are_told_apart() -> None:
    """As two preferences with other strengths are."""
    module = Objective(model(), [CrossEntropy(), DPO(), DPO(beta=0.5)])
    assert [*module.normalizers([pair(weight=2.0)])] == [
        "cross_entropy",
        "dpo",
        "dpo_accuracy",
        "dpo_margin",
        "dpo_2",
        "dpo_2_accuracy",
        "dpo_2_margin",
    ]
