"""Blocks of queries: by hand, and that every column stands in one block which holds all that it may look at."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.packing.ancestry import ancestry
from reasoning_train.packing.blocks import CALL, Block, cut, group
from reasoning_train.packing.forest import Forest, grow
from tests.reasoning_train.packing.tiny import trace


def random_forest(seed: int) -> Forest:
    rng = random.Random(seed)
    pool = [tuple(rng.randrange(3) for _ in range(rng.randint(1, 9)))]
    for _ in range(rng.randint(0, 25)):
        pool.append((*rng.choice(pool), *(rng.randrange(3) for _ in range(rng.randint(1, 6)))))
    return grow([trace(*ids) for ids in rng.choices(pool, k=rng.randint(1, 12))], share=rng.random() < 0.8)


def looked_at(forest: Forest, window: int | None) -> dict[int, set[int]]:
    """Column -> what it may attend to, read off the runs one by one."""
    found: dict[int, set[int]] = {}
    for run in forest.runs:
        for t in range(len(run.ids)):
            column = run.start + t
            before = (
                found.get(column - 1, set()) if t else found[_last(forest, run.parent)] if run.parent >= 0 else set()
            )
            found[column] = before | {column}
    depth = {run.start + t: run.depth + t for run in forest.runs for t in range(len(run.ids))}
    return {q: {k for k in keys if window is None or depth[q] - depth[k] < window} for q, keys in found.items()}


def _last(forest: Forest, run: int) -> int:
    return forest.runs[run].start + len(forest.runs[run].ids) - 1


def test_cut_by_hand() -> None:
    # A prompt of 4 columns; below it a line of 3 with two children of 2, and a line of 2.
    stem = (1, 2, 3, 4)
    forest = grow([trace(*stem, 5, 6, 7, 8, 8), trace(*stem, 5, 6, 7, 9, 9), trace(*stem, 6, 6)], share=True)
    columns = {run.ids: tuple(range(run.start, run.start + len(run.ids))) for run in forest.runs}
    prompt, line, other = columns[stem], columns[5, 6, 7], columns[6, 6]
    below = columns[8, 8] + columns[9, 9]
    assert cut(forest, own=64) == [Block(tuple(c for run in forest.runs for c in columns[run.ids]), ())]
    assert sorted(cut(forest, own=7), key=lambda b: b.own) == sorted(
        [Block(prompt, (), chain=True), Block(line + below, prompt), Block(other, prompt)], key=lambda b: b.own
    )
    assert sorted(cut(forest, own=4), key=lambda b: b.own) == sorted(
        [Block(prompt, (), chain=True), Block(line, prompt), Block(below, prompt + line), Block(other, prompt)],
        key=lambda b: b.own,
    )
    # With a window of 2 the first query of a block looks at one column above it; a chain longer than the window is
    # none.
    assert sorted(cut(forest, window=2, own=4), key=lambda b: b.own) == sorted(
        [Block(prompt, ()), Block(line, prompt[-1:]), Block(below, line[-1:]), Block(other, prompt[-1:])],
        key=lambda b: b.own,
    )


@given(st.integers(0, 100_000), st.sampled_from([1, 3, 8, 64]), st.sampled_from([None, 1, 2, 5]))
def test_every_column_stands_in_one_block_with_all_that_it_looks_at(seed: int, own: int, window: int | None) -> None:
    forest = random_forest(seed)
    blocks, seen = cut(forest, window, own), looked_at(forest, window)
    assert sorted(c for block in blocks for c in block.own) == list(range(forest.width))
    for block in blocks:
        assert set().union(*(seen[c] for c in block.own)) <= {*block.above, *block.own}
        assert not block.chain or all(seen[c] == set(block.own[: t + 1]) for t, c in enumerate(block.own))


@given(st.integers(0, 100_000), st.sampled_from([None, 1, 2, 5]))
def test_ancestry_says_what_the_runs_say(seed: int, window: int | None) -> None:
    forests = [random_forest(seed), random_forest(seed + 1)]
    width = max(forest.width for forest in forests) + 2
    pairs = ancestry(forests, width).pairs(window)
    for b, forest in enumerate(forests):
        seen = looked_at(forest, window) | {padding: {padding} for padding in range(forest.width, width)}
        assert [set(row.nonzero()[:, 0].tolist()) for row in pairs[b]] == [seen[c] for c in range(width)]


@given(st.lists(st.tuples(st.integers(1, 70), st.integers(0, 300), st.booleans()), max_size=30))
def test_groups_hold_every_block_once_and_waste_no_more_than_a_call(sizes: list[tuple[int, int, bool]]) -> None:
    blocks = [Block((0,) * own, () if chain else (0,) * above, chain) for own, above, chain in sizes]
    groups = group(blocks)
    assert sorted(i for members in groups for i in members) == list(range(len(blocks)))
    for members in groups:
        of = [blocks[i] for i in members]
        assert len({block.chain for block in of}) == 1
        scored = len(of) * max(len(block.own) for block in of) * max(block.keys for block in of)
        assert scored - sum(len(block.own) * block.keys for block in of) <= CALL
