"""Losses: values, gradients and what is watched, of pairs, ranked traces or a solution, by hand-made numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.packing.batch import collate
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.losses.base import LOSSES
from reasoning_train.trainers.outputs import Outputs
from tests.known_answers.cases import Settings, case
from tests.known_answers.rounding import single


def found(name: str, rows: Sequence[Row], leaf: torch.Tensor, out: Outputs, **config: Any) -> dict[str, Any]:
    """The sum over the rows, its gradient by `leaf`, the watched figures and the normalizers."""
    loss = LOSSES.get(name)(uses=name, **config)
    value = loss(out)
    value.backward()
    assert leaf.grad is not None
    return {
        "loss": value.item(),
        "weight": loss.weight,
        "gradient": leaf.grad.tolist(),
        "watched": [figure.item() for figure in loss.watch(out)],
        "normalizers": [loss.normalizer(row) for row in rows],
    }


def side(ids: tuple[int, ...]) -> Trace:
    return Trace(ids, (0.0,) + (1.0,) * (len(ids) - 1))


@case("loss", "dpo", "ipo", "simpo", "orpo", "sft")
def preference(name: str) -> Any:
    """Two pairs, one of weight 2 and smoothed; the policy prefers the better side of one of them."""
    rows = [
        Row((side((1, 2, 3)), side((1, 4, 5, 6))), reference=(-2.0, -3.0), ranks=(1.0, 0.0)),
        Row((side((1, 7)), side((1, 8, 9))), weight=2.0, reference=(-1.5, -2.5), smoothing=0.2, ranks=(1.0, 0.0)),
    ]
    logprobs = torch.tensor([-0.5, -0.7, -1.0, -1.2, -0.3, -2.0, -0.4, -0.6], requires_grad=True)
    return found(name, rows, logprobs, Outputs(collate([rows], 0), logprobs, torch.zeros(0)))


@case("loss", "bce", "mse")
def regression(name: str) -> Any:
    """Three targets of unequal weight on one trace."""
    row = Row((Trace((1, 2, 3, 4), (0.0,) * 4, (1, 2, 3), (0.25, 1.0, 0.0), (1.0, 0.5, 2.0)),))
    raw = torch.tensor([0.3, -0.4, 1.1], requires_grad=True)
    out = Outputs(collate([[row]], 0), torch.zeros(0), raw, ValueHead(HeadConfig(gain=0.5, offset=0.1), 2))
    return found(name, [row], raw, out)


@case("loss", "ranking")
def ranking() -> Any:
    """Two right and two wrong traces of a problem, and a pair of weight 2."""
    read = [Trace((1, i), (0.0, 0.0), (1,), (), (1.0,)) for i in range(2, 8)]
    rows = [Row(tuple(read[:4]), ranks=(1.0, 1.0, 0.0, 0.0)), Row(tuple(read[4:]), weight=2.0, ranks=(1.0, 0.0))]
    raw = torch.tensor([1.0, -0.5, 0.2, -1.5, 0.3, 0.8], requires_grad=True)
    return found("ranking", rows, raw, Outputs(collate([rows], 0), torch.zeros(0), raw), margin=0.1)


@case("loss", "cross_entropy", "entropy")
def of_logits(name: str) -> Any:
    """At the defaults."""
    return from_logits(name)


@case("loss", "sparse_kl")
def sparse_kl() -> Any:
    """With the rest of the probability, and over the teacher's tokens alone."""
    return Settings(single(from_logits("sparse_kl", residual=residual)) for residual in (True, False))


def from_logits(name: str, **config: Any) -> dict[str, Any]:
    """Three tokens of weights 1, 0.5 and 2, from logits over a vocabulary of four."""
    columns = {
        "teacher_ids": ((0, 1), (1, 0), (2, 3), (0, 2)),
        "teacher_logprobs": ((-0.7, -0.7), (-0.4, -1.6), (-0.3, -1.9), (-1.0, -1.1)),
    }
    row = Row((Trace((0, 1, 2, 3), (0.0, 1.0, 0.5, 2.0), columns=columns),))
    logits = torch.tensor([[0.3, -0.2, 0.9, 0.1], [1.5, 0.2, -0.7, 0.0], [-0.4, 0.6, 0.1, 2.0]], requires_grad=True)
    logp, batch = logits.log_softmax(-1), collate([[row]], 0)
    read = {"entropy": -(logp.exp() * logp).sum(-1), "ids.teacher_ids": logp.gather(-1, batch["ids.teacher_ids"])}
    chosen = logp.gather(-1, batch["predict_label"][:, None])[:, 0]
    return found(name, [row], logits, Outputs(batch, chosen, torch.zeros(0), read=read), **config)
