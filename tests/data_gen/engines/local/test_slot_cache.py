"""Keys and values in slots: what growing keeps, what only reserving costs."""

from __future__ import annotations

import pytest
import torch

from data_gen.engines.local.slot_cache import LayerShape, SlotCache, lazy_zeros

CPU = torch.device("cpu")
SHAPES = [LayerShape(heads=1, keys=4, values=4)] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 0, 4)])
def test_lazy_zeros_are_zeros_where_torch_would_put_them(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    zeros = lazy_zeros(shape, dtype, CPU)
    assert torch.equal(zeros, torch.zeros(shape, dtype=dtype)) and zeros.dtype == dtype and zeros.is_contiguous()
    assert zeros.data_ptr() % 64 == 0  # where torch's own tensors begin; matrix products may round otherwise elsewhere
    zeros.fill_(1)  # ours to write
    assert zeros.float().sum() == zeros.numel()


def test_memory_that_is_only_reserved_is_not_taken() -> None:
    def resident_mib() -> float:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[1]) * 4096 / 2**20

    before = resident_mib()
    reserved = lazy_zeros((64, 1 << 20), torch.float32, CPU)  # 256 MiB
    assert float(reserved[:, 0].sum()) == 0
    assert resident_mib() - before < 64


def test_growing_keeps_what_was_stored_and_runs_ahead_within_the_capacity() -> None:
    cache = SlotCache(SHAPES, torch.float32, CPU, capacity=32 * 160)
    cache.reserve(3, 40)
    assert (cache.slots, cache.columns) == (32, 96)  # 2 * 40 columns, in blocks
    cache.aim(torch.tensor([[5], [6], [7]]), 8)
    new = torch.randn(3, 1, 1, 4)
    cache.update(new, -new, 1)
    cache.reserve(20, 100)
    assert (cache.slots, cache.columns) == (32, 160)  # twice as many would not fit
    cache.reserve(40, 161)
    assert (cache.slots, cache.columns) == (64, 192)  # over the capacity no more than asked for
    keys, values = cache.layers[1]
    for row in range(3):
        assert torch.equal(keys[row, :, 5 + row], new[row, :, 0]) and torch.equal(
            values[row, :, 5 + row], -new[row, :, 0]
        )
    assert int((keys != 0).sum()) == new.numel() and not cache.layers[0][0].any()
