"""Batches: tensors by hand; loss, gradient, values and log-probabilities equal those of single traces, however they are
packed."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.packing.batch import collate, silenced
from reasoning_train.packing.forest import grow
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.losses.mse import MSE
from reasoning_train.trainers.objective import Objective
from tests.reasoning_train.packing.tiny import FAMILIES, VOCAB, model, rows, trace

TREE = [
    Row((trace(1, 2, 3, 4, 5, 6, 7, 8, prompt=2, values=True), trace(1, 2, 3, 9, 5, prompt=2, values=True))),
    Row((trace(1, 2, 3, 4, 5, 6, 11, prompt=2, values=True),)),
    Row((trace(1, 2, 3, 4, 5, prompt=2, values=True), trace(4, 4, 4, prompt=1, values=True))),
    Row((trace(1, 2, 3, 4, 5, 6, 7, 8, prompt=2, values=True),)),
]
"""Branches at several depths, one trace that ends inside another, one twice, and one that shares nothing."""


BOTH = [(family, "sdpa") for family in FAMILIES if family != "gemma2"] + [(family, "eager") for family in FAMILIES]
"""Gemma 2 has no SDPA: it caps its attention scores."""


def objective(family: str, attention: str = "sdpa") -> Objective:
    net = model(family, attention)
    torch.manual_seed(1)
    head = ValueHead(HeadConfig(), 32, init_std=0.3)
    return Objective(net, [CrossEntropy(), MSE()], head)


def gradient(module: Any, total: torch.Tensor) -> torch.Tensor:
    module.zero_grad()
    total.backward()
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def single(module: Objective, traces: list[Trace]) -> torch.Tensor:
    """Trace by trace through the stock model, without mask, positions or padding: what every packing must reproduce."""
    total = torch.zeros(())
    for one in traces:
        ids = torch.tensor([one.ids])
        out = module.model(input_ids=ids, use_cache=False, output_hidden_states=True)
        logp = out.logits[0].float().log_softmax(-1)[torch.arange(len(one) - 1), ids[0, 1:]]
        values = module.head(out.hidden_states[-1][0, list(one.at)])  # type: ignore[misc]
        total = total - (logp * torch.tensor(one.weights[1:])).sum() + ((values - torch.tensor(one.targets)) ** 2).sum()
    return total


def packed(module: Objective, packs: list[list[Row]], *, share: bool, pad_id: int = 0) -> torch.Tensor:
    return torch.stack(list(module(collate(packs, pad_id, share=share)).values())).sum()


@pytest.mark.parametrize(("family", "attention"), BOTH)
def test_packed_loss_and_gradient_equal_those_of_single_traces(family: str, attention: str) -> None:
    module = objective(family, attention)
    wanted = single(module, [one for row in TREE for one in row.traces])
    known = gradient(module, wanted)
    for packs in ([TREE], [TREE[:2], TREE[2:]], [[row] for row in TREE]):
        for share in (False, True):
            found = packed(module, packs, share=share)
            assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
            assert (gradient(module, found) - known).norm() <= 1e-5 * known.norm()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_random_trees_equal_their_traces(seed: int) -> None:
    rng, module = random.Random(seed), objective("qwen3")
    pool = [(rng.randrange(VOCAB),)]
    for _ in range(rng.randint(1, 12)):
        pool.append((*rng.choice(pool), *(rng.randrange(4) for _ in range(rng.randint(1, 4)))))
    traces = [trace(*ids, values=True) for ids in rng.choices(pool[1:], k=rng.randint(1, 6))]
    wanted, found = single(module, traces), packed(module, [[Row((one,)) for one in traces]], share=True)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5, abs=1e-5)
    known = gradient(module, wanted)
    assert (gradient(module, found) - known).norm() <= 1e-5 * known.norm() + 1e-7


@pytest.mark.parametrize("family", FAMILIES)
def test_a_branch_does_not_see_its_siblings(family: str) -> None:
    module = objective(family, "eager")
    left, right, other = trace(1, 2, 3, 4, 5, 6), trace(1, 2, 7, 8, 9, 6), trace(1, 2, 7, 0, 3, 3)
    with torch.no_grad():
        first, second = (
            module.outputs(collate([[Row((left,)), Row((x,))]], 0, share=True)).trace_logprobs for x in (right, other)
        )
    assert first[0] == pytest.approx(second[0].item(), abs=1e-6)
    assert first[1] != pytest.approx(second[1].item(), abs=1e-3)


def test_collate_by_hand() -> None:
    shared = [
        Row(
            (
                Trace((5, 6, 7), (0.0, 1.0, 0.5), (2,), (0.25,), (2.0,)),
                Trace((5, 6, 8), (0.0, 1.0, 2.0), (1, 2), (0.5, 0.75), (1.0, 1.0)),
            )
        )
    ]
    batch = collate([shared, [Row((Trace((4, 3), (0.0, 1.0)),), weight=0.5, reference=(-1.5,))]], pad_id=9, share=True)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [4, 3, 9, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 2], [0, 1, 0, 0]]
    assert batch["visible"][0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    # Padding sees itself only: no row of the mask is empty, so no softmax is over nothing.
    assert batch["visible"][1, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    # 6 behind 5 once for both; 7 and 8 both from column 1; 3 from column 4 of the flattened batch.
    assert list(zip(batch["predict_at"].tolist(), batch["predict_label"].tolist(), strict=True)) == [
        (0, 6),
        (1, 7),
        (1, 8),
        (4, 3),
    ]
    assert batch["token"].tolist() == [0, 1, 0, 2, 3]
    assert batch["token_weight"].tolist() == [1.0, 0.5, 1.0, 2.0, 1.0]
    assert batch["token_trace"].tolist() == [0, 0, 1, 1, 2]
    assert batch["read_at"].tolist() == [2, 1, 3]
    assert batch["value_trace"].tolist() == [0, 1, 1]
    assert batch["trace_row"].tolist() == [0, 0, 1]
    assert batch["row_weight"].tolist() == [1.0, 0.5]
    assert batch["trace_reference"].isnan().tolist() == [True, True, False]


def test_side_by_side_nothing_is_shared() -> None:
    forest = grow([trace(1, 2), trace(1, 2)], share=False)
    assert [(run.ids, run.parent, run.depth) for run in forest.runs] == [((1, 2), -1, 0), ((1, 2), -1, 0)]


def test_the_pad_id_changes_nothing_even_where_it_is_a_trained_token() -> None:
    module, (first, _, _, long, _) = objective("llama"), rows()
    last = first.traces[0].ids[-1]
    a, b = (packed(module, [[first], [long]], share=False, pad_id=pad) for pad in ((last + 1) % VOCAB, last))
    assert a.item() == b.item()


def test_a_silenced_batch_teaches_nothing() -> None:
    module = objective("llama")
    found = module(silenced(collate([TREE], 0, share=True)))
    assert {name: value.item() for name, value in found.items()} == {"cross_entropy": 0.0, "mse": 0.0}
    assert not gradient(module, torch.stack(list(found.values())).sum()).any()


def test_what_cannot_be_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="trace 1 has 0 tokens"):
        grow([trace(1, 2), Trace((), ())], share=True)
    module = objective("llama")
    module.model.config.layer_types = ["linear_attention", "full_attention"]
    with pytest.raises(UserError, match="'sequence' .* layers of type linear_attention"):
        packed(module, [rows()], share=False)
