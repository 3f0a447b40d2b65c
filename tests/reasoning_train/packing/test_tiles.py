"""Tiles from runs are those that torch finds by asking for every pair."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning_train.packing.ancestry import ancestry
from reasoning_train.packing.forest import Forest, grow
from reasoning_train.packing.tiles import TILE, Tiles, tiles
from tests.reasoning_train.packing.tiny import trace


def dense(count: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """[B, N, N] bool from lists."""
    listed = torch.arange(at.shape[-1]) < count[..., None]
    return torch.zeros(at.shape, dtype=torch.bool).scatter(-1, at.long(), listed)


def pooled(forests: Sequence[Forest], width: int, window: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """(any, all) of each tile, from the mask of all pairs; beyond the last column nothing is seen."""
    n = -(-width // TILE)
    mask = torch.zeros(len(forests), n * TILE, n * TILE, dtype=torch.bool)
    mask[:, :width, :width] = ancestry(forests, width).pairs(window)
    cut = mask.unflatten(2, (n, TILE)).unflatten(1, (n, TILE)).transpose(2, 3)
    return cut.any(-1).any(-1), cut.all(-1).all(-1)


def check(forests: list[Forest], width: int, window: int | None) -> Tiles:
    found = tiles(forests, width, window)
    some, whole = dense(found.some, found.some_at), dense(found.whole, found.whole_at)
    anything, everything = pooled(forests, width, window)
    assert not (some & whole).any() and not (whole & ~everything).any()
    missed, vain = anything & ~(some | whole), (some | whole) & ~anything
    assert not missed.any() and not vain.any()
    return found


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    """Chains of long and short runs that leave each other anywhere."""
    runs = draw(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 400)), min_size=1, max_size=8))
    paths, token = [tuple(range(7))], 7
    for where, length in runs:
        stem = paths[where % len(paths)]
        paths.append((*stem[: 1 + where % len(stem)], *range(token, token + length)))
        token += length
    return grow([trace(*path) for path in paths], share=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(forests(), min_size=1, max_size=3), st.integers(0, 300), st.sampled_from([None, 4, 130, 600]))
def test_every_tile_that_holds_something_is_listed(made: list[Forest], padding: int, window: int | None) -> None:
    check(made, max(forest.width for forest in made) + padding, window)


def test_a_chain_sees_what_lies_before_it_whole() -> None:
    found = check([grow([trace(*range(1000))], share=True)], 1024, None)
    assert found.whole.tolist() == [[0, 1, 2, 3, 4, 5, 6, 0]], "the last tile has queries of padding, too"
    assert found.some.tolist() == [[1] * 7 + [8]]


def test_a_window_leaves_out_what_lies_behind_it() -> None:
    found = check([grow([trace(*range(1000))], share=True)], 1024, 130)
    assert found.some.tolist() == [[1, 2, 3, 3, 3, 3, 3, 3]]


@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_torch(seed: int) -> None:
    from torch.nn.attention.flex_attention import create_block_mask

    draw = torch.Generator().manual_seed(seed)
    stem = torch.randint(0, 9, (300,), generator=draw).tolist()
    forest = grow([trace(*stem[:cut], 10 + cut, *stem[cut:]) for cut in (17, 128, 200, 256)], share=True)
    known = ancestry([forest], forest.width)
    theirs = create_block_mask(
        lambda b, h, q, k: known.pairs(None)[b, q, k], 1, None, forest.width, forest.width, device="cpu"
    )
    ours = check([forest], forest.width, None)
    counts = ours.some + ours.whole
    assert theirs.full_kv_num_blocks is not None
    assert torch.equal(counts, theirs.kv_num_blocks[:, 0] + theirs.full_kv_num_blocks[:, 0])
