"""Every backend of tree attention: logits, loss, gradients and log-probabilities equal those of single traces, and
nothing leaks."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.errors import UserError
from reasoning_train.packing.batch import collate
from reasoning_train.packing.forest import grow
from reasoning_train.packing.rows import Row
from reasoning_train.packing.tree_attention import NAME, Backend, ForestAttention, forest_attention
from tests.reasoning_train.packing.tiny import FAMILIES, VOCAB, model, trace

BACKENDS: tuple[Backend, ...] = ("dense", "gather")
Ids = tuple[int, ...]


def random_paths(seed: int, *, most: int = 12, step: int = 8) -> list[Ids]:
    """Of a random tree, some twice and some that end inside others; beside it a path that shares nothing."""
    rng = random.Random(seed)
    pool = [tuple(rng.randrange(VOCAB) for _ in range(rng.randint(1, 20)))]
    for _ in range(rng.randint(1, most)):
        pool.append((*rng.choice(pool), *(rng.randrange(VOCAB) for _ in range(rng.randint(1, step)))))
    stranger = ((pool[0][0] + 1) % VOCAB, *(rng.randrange(VOCAB) for _ in range(3)))
    return [*rng.choices(pool, k=rng.randint(1, 8)), stranger]


def states(net: Any, attention: ForestAttention, packs: list[list[Ids]], *, share: bool = True) -> list[torch.Tensor]:
    """Logits [tokens, V] of every path of every packed row."""
    rows = [[Row((trace(*ids),)) for ids in paths] for paths in packs]
    batch = collate(rows, 0, share=share)
    forests = [grow([row.traces[0] for row in pack], share=share) for pack in rows]
    batch |= attention.tensors(forests, batch["input_ids"].shape[1])
    where = {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"]}
    logits = net(**where, use_cache=False, **attention.arguments(batch)).logits
    return [logits[b, columns] for b, forest in enumerate(forests) for columns in forest.columns]


def alone(net: Any, paths: list[Ids]) -> list[torch.Tensor]:
    """Logits of single paths, through the stock model without mask or positions."""
    return [net(input_ids=torch.tensor([ids]), use_cache=False).logits[0] for ids in paths]


def learnt(found: list[torch.Tensor], paths: list[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each path behind its first token, and one loss of all that is ever learnt along them."""
    sums, total = [], torch.zeros(())
    for number, (logits, ids) in enumerate(zip(found, paths, strict=True)):
        logp = logits.float().log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:], dtype=torch.long)]
        sums.append(logp.sum())
        total = total - (1 + number % 3) * logp.sum() + (logits[:, 0].tanh() - 0.3).square().sum()
    stacked = torch.stack(sums)
    return stacked, total - torch.nn.functional.logsigmoid(0.1 * (stacked[0] - stacked[-1]))


def gradient(net: Any, loss: torch.Tensor) -> torch.Tensor:
    net.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


def close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).norm() <= 1e-5 * wanted.norm())


def compare(family: str, backend: Backend, packs: list[list[Ids]], *, share: bool = True) -> None:
    net = model(family, "eager")
    paths = [ids for pack in packs for ids in pack]
    wanted = alone(net, paths)
    sums, loss = learnt(wanted, paths)
    known = gradient(net, loss)
    found = states(net, forest_attention(net, backend), packs, share=share)
    found_sums, found_loss = learnt(found, paths)
    assert close(torch.cat(found), torch.cat(wanted))
    assert close(found_sums, sums)
    assert found_loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert close(gradient(net, found_loss), known)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_loss_and_gradient_equal_those_of_single_traces(family: str, backend: Backend) -> None:
    compare(family, backend, [random_paths(0, most=30), random_paths(1)])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from(FAMILIES), st.sampled_from(BACKENDS), st.booleans())
def test_random_trees_equal_their_traces(seed: int, family: str, backend: Backend, share: bool) -> None:
    rng = random.Random(seed)
    compare(
        family,
        backend,
        [random_paths(seed + n, most=rng.choice((3, 30))) for n in range(rng.randint(1, 3))],
        share=share,
    )


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_flex_sees_what_single_traces_see(family: str) -> None:
    net, paths = model(family, "eager"), random_paths(3, most=30)
    wanted = alone(net, paths)
    found = states(net, forest_attention(net, "flex"), [paths])
    assert close(torch.cat(found), torch.cat(wanted))


@pytest.mark.parametrize("backend", [*BACKENDS, "flex"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_branch_does_not_see_its_siblings(family: str, backend: Backend) -> None:
    net = model(family, "eager")
    attention = forest_attention(net, backend)
    stem, left = tuple(range(1, 20)), (3, 1, 4, 1, 5)
    (a, b), (c, d) = (
        states(net, attention, [[stem + left, stem + right]]) for right in ((2, 7, 1, 8, 2), (9, 9, 0, 6, 9))
    )
    assert torch.allclose(a, c, atol=1e-6, rtol=0)
    assert not torch.allclose(b, d, atol=1e-2, rtol=0)


@torch.no_grad()
def test_without_a_forest_the_model_is_what_it_was() -> None:
    for family in FAMILIES:
        net, ids = model(family, "eager"), torch.tensor([[1, 2, 3, 4, 5, 6, 7], [0, 0, 3, 1, 2, 3, 4]])
        mask = torch.tensor([[1] * 7, [0, 0, 1, 1, 1, 1, 1]])
        wanted = net(input_ids=ids, attention_mask=mask).logits
        decoded = net.generate(
            ids[:, :3], attention_mask=mask[:, :3], max_new_tokens=8, do_sample=False, pad_token_id=0
        )
        forest_attention(net)
        assert net.config._attn_implementation == NAME
        assert close(net(input_ids=ids, attention_mask=mask).logits[mask.bool()], wanted[mask.bool()])
        assert torch.equal(
            net.generate(ids[:, :3], attention_mask=mask[:, :3], max_new_tokens=8, do_sample=False, pad_token_id=0),
            decoded,
        )


def test_gradient_checkpointing_recomputes_the_same() -> None:
    paths = random_paths(5, most=30)
    gradients = []
    for checkpointed in (False, True):
        net = model("qwen3").train()
        attention = forest_attention(net, "gather")
        if checkpointed:
            net.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        found = states(net, attention, [paths])
        gradients.append(gradient(net, learnt(found, paths)[1]))
    assert close(gradients[1], gradients[0])


def test_the_backend_follows_the_device() -> None:
    net = model("gemma2", "eager")
    assert forest_attention(net) == ForestAttention("flex" if net.device.type == "cuda" else "gather", (None, 4))


def test_a_window_that_reaches_everything_costs_nothing() -> None:
    attention = ForestAttention("gather", (None, 4))
    short, long = (
        attention.tensors([grow([trace(*ids)], share=True)], len(ids)) for ids in ((1, 2, 3), (1, 2, 3, 4, 5))
    )
    assert "forest.4.home" not in short
    assert "forest.4.home" in long


def test_what_lets_branches_see_each_other_is_refused() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    net = model("llama")
    net.config.layer_types = ["linear_attention", "full_attention"]
    with pytest.raises(UserError, match="'llama' model is neither .* layers of type linear_attention"):
        forest_attention(net)
    mamba = MambaForCausalLM(MambaConfig(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=1, state_size=4))
    with pytest.raises(UserError, match="'mamba' model cannot be trained on packed trees"):
        forest_attention(mamba)
