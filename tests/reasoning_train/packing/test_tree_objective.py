"""An objective on packed trees: losses, gradients, log-probabilities and values are those of padded traces."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.packing.batch import Batch, collate
from reasoning_train.packing.rows import Row
from reasoning_train.trainers.losses.base import Loss
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.losses.dpo import DPO
from reasoning_train.trainers.losses.mse import MSE
from reasoning_train.trainers.objective import Objective
from tests.reasoning_train.packing.test_tree_attention import close, random_paths
from tests.reasoning_train.packing.tiny import FAMILIES, model, trace


def learn(module: Objective, batches: list[Batch]) -> tuple[dict[str, float], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sums by name, log-probabilities of traces, scores and the gradient."""
    module.zero_grad()
    sums: dict[str, float] = {}
    logprobs, raw = [], []
    for batch in batches:
        out: Any = module.outputs(batch)
        terms = {name: loss(out) for name, loss in module.losses.items()}
        torch.stack(list(terms.values())).sum().backward()
        sums = {name: sums.get(name, 0.0) + term.item() for name, term in terms.items()}
        logprobs.append(out.trace_logprobs.detach())
        raw.append(out.raw.detach())
    gradient = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    return sums, torch.cat(logprobs), torch.cat(raw), gradient


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_and_values_on_trees_equal_those_side_by_side(family: str) -> None:
    net = model(family, "eager")
    torch.manual_seed(1)
    losses: list[Loss] = [CrossEntropy(), MSE(), DPO(beta=0.05)]
    module = Objective(net, losses, ValueHead(HeadConfig(), 32, init_std=0.3))
    paths = [ids for seed in range(4) for ids in random_paths(seed, most=30) if len(ids) > 2]
    pairs = list(zip(paths[::2], paths[1::2], strict=False))
    rows = [
        Row((trace(*a, prompt=2, values=True), trace(*b, prompt=2, values=True)), reference=(-3.0, -2.0))
        for a, b in pairs
    ]
    sums, logprobs, raw, gradient = learn(module, [collate([[row]], 0) for row in rows])
    with module.packed("tree") as attention:
        found = learn(module, [collate([rows[:3], rows[3:]], 0, share=True, attention=attention)])
    assert found[0] == pytest.approx(sums, rel=1e-5)
    for one, other in zip(found[1:], (logprobs, raw, gradient), strict=True):
        assert close(one, other)
    assert net.config._attn_implementation == "eager"
