"""Packing: tensors by hand, the properties of `pack`, and that neither losses, gradients nor logits notice it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.packing.sequence import IGNORE, TrainRow, collate, mask_for, pack
from reasoning_train.trainers.losses import cross_entropy_sum

VOCAB = 23
SHAPE = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.3,
}  # fmt: skip


def model(family: str, attention: str) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

    classes = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}
    config, causal = classes[family]
    torch.manual_seed(0)
    extra = {"head_dim": 8} if family == "qwen3" else {}
    return causal(config(**SHAPE, **extra, attn_implementation=attention)).eval()


def rows(seed: int = 0, lengths: tuple[int, ...] = (5, 9, 3, 12, 7)) -> list[TrainRow]:
    rng = torch.Generator().manual_seed(seed)
    made = []
    for n in lengths:
        ids = torch.randint(0, VOCAB, (n,), generator=rng).tolist()
        made.append(TrainRow(ids=tuple(ids), weights=tuple(0.0 if i < n // 3 else 1.0 + (i % 2) for i in range(n))))
    return made


def loss_and_gradient(net: Any, packs: list[list[TrainRow]], pad_id: int = 0) -> tuple[float, torch.Tensor]:
    net.zero_grad()
    batch = collate(packs, pad_id)
    labels, weights = batch.pop("labels"), batch.pop("weights")
    batch["attention_mask"] = mask_for(net, batch["attention_mask"])
    loss = cross_entropy_sum(net(**batch, use_cache=False).logits, labels, weights)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in net.parameters()])


def plain_loss_and_gradient(net: Any, examples: list[TrainRow]) -> tuple[float, torch.Tensor]:
    """Row by row, without mask, positions or padding: what packing must reproduce."""
    net.zero_grad()
    total = torch.zeros(())
    for row in examples:
        ids = torch.tensor([row.ids])
        logp = net(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
        picked = logp[torch.arange(len(row.ids) - 1), ids[0, 1:]]
        total = total - (picked * torch.tensor(row.weights[1:])).sum()
    total.backward()
    return total.item(), torch.cat([p.grad.flatten() for p in net.parameters()])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_packed_loss_and_gradient_equal_those_of_single_rows(family: str, attention: str) -> None:
    net, examples = model(family, attention), rows()
    loss, gradient = plain_loss_and_gradient(net, examples)
    for packs in ([[examples[3], examples[2]], [examples[1], examples[0]], [examples[4]]], [examples]):
        packed_loss, packed_gradient = loss_and_gradient(net, packs)
        assert packed_loss == pytest.approx(loss, rel=1e-5)
        assert (packed_gradient - gradient).norm() <= 1e-5 * gradient.norm()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_a_row_does_not_see_its_neighbours(family: str, attention: str) -> None:
    net, (first, second, third, *_), (other, *_) = model(family, attention), rows(), rows(seed=1)
    logits = []
    for left, right in ((first, third), (other, third), (first, rows(seed=2)[2])):
        batch = collate([[left, second, right]], pad_id=0)
        batch["attention_mask"] = mask_for(net, batch["attention_mask"])
        with torch.no_grad():
            logits.append(net(**{k: v for k, v in batch.items() if k not in ("labels", "weights")}, use_cache=False).logits[0])
    middle = slice(len(first.ids), len(first.ids) + len(second.ids))
    assert torch.equal(logits[0][middle], logits[1][middle])
    assert torch.equal(logits[0][middle], logits[2][middle])
    assert not torch.allclose(logits[0][: len(first.ids)], logits[1][: len(first.ids)])


def test_collate_by_hand() -> None:
    a, b, c = TrainRow((5, 6, 7), (0.0, 1.0, 0.5)), TrainRow((8, 9), (0.0, 2.0)), TrainRow((4, 3, 2), (0.0, 0.0, 1.0))
    batch = collate([[a, b], [c]], pad_id=9)
    no = IGNORE
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9], [4, 3, 2, 9, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 0, 0]]
    assert batch["labels"].tolist() == [[6, 7, no, 9, no], [no, 2, no, no, no]]
    assert batch["weights"].tolist() == [[1.0, 0.5, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]]
    mask = batch["attention_mask"]
    assert mask.shape == (2, 1, 5, 5)
    assert mask.dtype == torch.bool
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]]
    # Padding sees itself only: no row of the mask is empty, so no softmax is over nothing.
    assert mask[1, 0].int().tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


def test_the_pad_id_changes_nothing_even_where_it_is_a_trained_token() -> None:
    net, examples = model("llama", "sdpa"), rows()
    packs = [[examples[0]], [examples[3]]]
    last = examples[0].ids[-1]
    expected, gradient = loss_and_gradient(net, packs, pad_id=(last + 1) % VOCAB)
    loss, same = loss_and_gradient(net, packs, pad_id=last)
    assert loss == expected
    assert torch.equal(same, gradient)


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(40, 90))
def test_pack_places_every_row_once_within_capacity(lengths: list[int], capacity: int) -> None:
    packs = pack(lengths, capacity)
    assert sorted(i for indices in packs for i in indices) == list(range(len(lengths)))
    assert all(0 < sum(lengths[i] for i in indices) <= capacity for indices in packs)
    # First fit: no two packs could be one.
    sizes = sorted(sum(lengths[i] for i in indices) for indices in packs)
    assert len(sizes) < 2 or sizes[0] + sizes[1] > capacity


def test_pack_by_hand_and_its_refusal() -> None:
    assert pack([4, 6, 3, 6, 1], 10) == [[1, 0], [3, 2, 4]]
    with pytest.raises(ValueError, match="row 1 has 11 tokens, more than the capacity of 10"):
        pack([3, 11], 10)
