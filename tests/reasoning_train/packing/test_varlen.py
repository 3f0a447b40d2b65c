"""FlashAttention's kernel behind packed rows, by a stand-in that keeps its contract: the kernel itself needs a GPU
(tests/gpu)."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from reasoning_train.packing import varlen
from reasoning_train.packing.forest import grow
from reasoning_train.packing.scores import scored
from reasoning_train.packing.tree_attention import NAME, row_attention
from tests.reasoning_train.packing.test_tree_attention import alone, close, gradient, learnt, random_paths, states
from tests.reasoning_train.packing.tiny import FAMILIES, model, trace
from tests.reasoning_train.trainers.distributed import run
from tests.reasoning_train.trainers.test_equivalence import check_same


def stand_in(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    begin_q: torch.Tensor,
    begin_k: torch.Tensor,
    most_q: int,
    most_k: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """varlen_attn on a CPU, one sequence after the other."""
    cuts = begin_q.tolist()
    assert begin_q.dtype == torch.int32 and torch.equal(begin_q, begin_k)
    assert cuts[0] == 0 and cuts[-1] == len(q) == len(k) == len(v) and window_size[1] == 0
    lengths = [b - a for a, b in itertools.pairwise(cuts)]
    assert min(lengths) > 0 and max(lengths) == most_q == most_k and enable_gqa == (q.shape[1] != k.shape[1])
    out = []
    for length, parts in zip(lengths, zip(*(x.split(lengths) for x in (q, k, v)), strict=True), strict=True):
        far = torch.arange(length)[:, None] - torch.arange(length)[None]
        seen = (far >= 0) & ((far <= window_size[0]) if window_size[0] >= 0 else True)
        one = [x.transpose(0, 1)[None] for x in parts]
        made = scored(*one, seen[None, None], scale=scale, softcap=None, dropout=0.0)
        out.append(made[0].transpose(0, 1))
    return torch.cat(out)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlen, "available", lambda model, bf16: True)
    monkeypatch.setattr(varlen, "kernel", lambda: stand_in)


def test_the_stand_in_takes_what_the_kernel_takes() -> None:
    theirs, ours = (inspect.signature(function).parameters for function in (varlen.kernel(), stand_in))
    assert [theirs[name].kind for name in list(theirs)[:7]] == [p.kind for p in list(ours.values())[:7]]
    assert {name for name, p in ours.items() if p.kind is p.KEYWORD_ONLY} <= theirs.keys()


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "gemma2"])
def test_rows_equal_single_traces(family: str, kernel: None) -> None:
    """Logits, loss and gradients, in rows of unequal widths."""
    net, packs = model(family, "eager"), [random_paths(0), random_paths(1, most=3)]
    paths = [ids for pack in packs for ids in pack]
    wanted = alone(net, paths)
    _, loss = learnt(wanted, paths)
    known = gradient(net, loss)
    attention = row_attention(net, bf16=False)
    assert attention is not None and attention.backend == "varlen"
    found = states(net, attention, packs, share=False)
    _, found_loss = learnt(found, paths)
    assert close(torch.cat(found), torch.cat(wanted))
    assert found_loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert close(gradient(net, found_loss), known)


@pytest.mark.parametrize("packing", ["none", "sequence"])
def test_a_training_is_what_it_is_by_masks(
    tmp_path: Path, packing: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    wanted = run(tmp_path / "masks", packing=packing)
    request.getfixturevalue("kernel")
    asked = []
    monkeypatch.setattr(varlen, "kernel", lambda: asked.append(packing) or stand_in)
    check_same(run(tmp_path / "kernel", packing=packing), wanted)
    assert asked


def test_padding_is_a_trace_of_its_own() -> None:
    forests = [grow([trace(1, 2, 3), trace(1, 2)], share=False), grow([trace(4, 5, 6, 7)], share=False)]
    assert varlen.starts(forests, 6).tolist() == [0, 3, 5, 6, 10, 12]
    assert varlen.starts(forests[:1], 5).tolist() == [0, 3, 5]


def test_without_the_kernel_rows_are_masked() -> None:
    net: Any = model("llama")
    assert row_attention(net, bf16=True) is None and net.config._attn_implementation == "sdpa" != NAME
