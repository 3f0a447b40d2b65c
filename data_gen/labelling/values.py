"""Converts chosen paths of a problem's trees to rows of value targets."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from data_gen.labelling.paths import Path
from data_gen.labelling.reach import View
from data_gen.labelling.targets import TargetRule
from data_gen.labelling.targets.base import Targets, step_ends
from data_gen.records.labels import ValueTarget
from data_gen.records.trees import Tree

Multiplicity = Literal["paths", "unique"]


def value_targets(
    paths: Sequence[Path], rule: TargetRule, *, multiplicity: Multiplicity, shrink: float = 0.0
) -> list[ValueTarget]:
    """One row per path that has any target. Rows of one tree are adjacent, in the order of its leaves.

    A target has weight n / (n + shrink) for n observations behind it; `shrink: 0` weights all equally. See
    `ValueTarget.multiplicity`.
    """
    ordered = sorted(paths, key=lambda path: (path.tree.sample, path.leaf.node))
    rows: list[ValueTarget] = []
    for _, group in itertools.groupby(ordered, key=lambda path: path.tree.sample):
        rows += _of_tree(list(group), rule, multiplicity, shrink)
    return rows


def _of_tree(paths: list[Path], rule: TargetRule, multiplicity: Multiplicity, shrink: float) -> list[ValueTarget]:
    tree = paths[0].tree
    found = [(path, targets) for path, targets in zip(paths, rule.along(View(tree), paths), strict=True) if targets]
    shares = _shares([path.token_ids for path, _ in found])
    rows = []
    for (path, targets), share in zip(found, shares, strict=True):
        weights = [
            target.n / (target.n + shrink) / (share[at + 1] if multiplicity == "unique" else 1)
            for at, target in targets
        ]
        rows.append(_row(tree, path, targets, weights, rule, multiplicity))
    return rows


def _shares(sequences: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """For each sequence: how many of all sequences begin with its first 0, 1, 2, ... tokens."""
    numbers: dict[tuple[int, int], int] = {}
    walks = []
    for ids in sequences:
        walk = [0]
        for token in ids:
            walk.append(numbers.setdefault((walk[-1], token), len(numbers) + 1))
        walks.append(walk)
    through = Counter(number for walk in walks for number in walk)
    return [[through[number] for number in walk] for walk in walks]


def _row(
    tree: Tree, path: Path, targets: Targets, weights: list[float], rule: TargetRule, multiplicity: Multiplicity
) -> ValueTarget:
    known, ends = dict(targets), step_ends(path)
    counts = [target.counts for _, target in targets if target.counts is not None]
    return ValueTarget(
        prompt=tree.root.text,
        completions=tuple(node.text for node in path.nodes),
        labels=tuple(known[end].right if end in known else None for end in ends),
        problem_id=tree.problem_id,
        tree=tree.sample,
        source=rule.uses,
        scale=str(rule.scale),
        prompt_ids=tree.root.token_ids,
        token_ids=path.token_ids,
        ends=ends,
        nodes=tuple(node.node for node in path.nodes),
        at=tuple(known),
        values=tuple(target.value for target in known.values()),
        n_eff=tuple(float(target.n) for target in known.values()),
        weights=tuple(weights),
        correct=tuple(correct for correct, _ in counts),
        total=tuple(total for _, total in counts),
        multiplicity=multiplicity,
        outcome=path.leaf.outcome,
        group=tree.group,
        difficulty=tree.difficulty,
        question=tree.question,
        tags=tree.tags,
    )
