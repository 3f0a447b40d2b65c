"""What the labelling stages share: the trees of one problem at a time, its random stream, histograms and the gate of
one-class labels."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.labelling.steps import in_steps
from data_gen.records.scales import BOUNDS, Scale
from data_gen.records.trees import Tree
from reasoning_train.api.stage import gate
from reasoning_train.store.inputs import stream_trees

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from reasoning_train.api.refs import Ref
    from reasoning_train.api.stage import Context, Input

BINS = 10
"""Bars of a histogram over an interval."""


def open_codec(ctx: Context, policy: Ref) -> StepCodec:
    """The tokenizer and Format by which trees are cut into steps."""
    from reasoning_train.models.policy_text import load_policy_text

    return load_policy_text(ctx.input(policy).path).codec


def problem_trees(source: Input, codec: StepCodec) -> Iterator[tuple[str, list[Tree]]]:
    """(problem id, its trees, one step a node), streamed: one problem's trees are in memory at a time."""
    checked = False
    for problem_id, trees in itertools.groupby(stream_trees(source), key=lambda tree: tree.problem_id):
        grown = list(trees)
        if not checked:
            _check_tokenizer(grown[0], codec)
            checked = True
        yield problem_id, [in_steps(tree, codec) for tree in grown]


def _check_tokenizer(tree: Tree, codec: StepCodec) -> None:
    for node in tree.nodes[1:]:
        text = codec.decode(node.token_ids)
        if text != node.text:
            raise UserError(
                f"policy: the token ids of a step of tree {tree.problem_id!r} decode to {text[:80]!r} with its "
                "tokenizer, the tree says "
                f"{node.text[:80]!r}. Give the policy that grew the trees."
            )


def stream(seed: int, transform: str, *example: str | int) -> random.Random:
    """The random stream of one example: it derives from (seed, example, transform) alone."""
    return random.Random(stream_seed(seed, transform, *example))


@contextmanager
def refusals(stage: str, trees: Ref) -> Iterator[None]:
    """What a rule cannot read of a tree is told with the name of the stage and its input."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{stage}: the trees of {trees} do not suit. {error}") from error


def count_drops(ctx: Context, dropped: Mapping[str, int]) -> None:
    """Counters `dropped.<reason>`."""
    for reason, n in dropped.items():
        if n:
            ctx.count(f"dropped.{reason}", n)


class Histogram:
    """Counts by bar, kept while rows stream by: `Histogram("values", Scale.P)` has ten bars from 0 to 1."""

    def __init__(self, title: str, scale: Scale | None = None) -> None:
        """Without a scale, labels are counted by name."""
        self.title, self._low, self._high = title, *(BOUNDS[scale] if scale else (0.0, 0.0))
        if self._low < -1e6:  # unbounded: log-odds and rankings rarely leave this range
            self._low, self._high = -5.0, 5.0
        self._scaled = scale is not None
        self._bars: Counter[int] = Counter()
        self._sum = 0.0
        self._names: Counter[str] = Counter()

    def add(self, values: Iterable[float]) -> None:
        """Count numbers, those outside the range in the outermost bars."""
        width = (self._high - self._low) / BINS
        for value in values:
            self._sum += value
            self._bars[min(max(int((value - self._low) / width + 1e-9), 0), BINS - 1)] += 1

    @property
    def mean(self) -> float:
        """Mean of the numbers; 0 where there are none."""
        return self._sum / max(1, self._bars.total())

    def name(self, names: Iterable[str]) -> None:
        """Count labels."""
        self._names.update(names)

    def metric(self) -> dict[str, Any]:
        """`{"title": ..., "bars": [[label, count], ...]}`, what the report draws."""
        if not self._scaled:
            return {"title": self.title, "bars": [[name, self._names[name]] for name in sorted(self._names)]}
        width = (self._high - self._low) / BINS
        edges = [f"{self._low + i * width:g} to {self._low + (i + 1) * width:g}" for i in range(BINS)]
        return {"title": self.title, "bars": [[edge, self._bars[i]] for i, edge in enumerate(edges)]}


def gate_classes(stage: str, counts: Mapping[bool, int], min_share: float, what: str, rows: Mapping[bool, str]) -> None:
    """Both labels must occur, the rarer one with at least `min_share`. `rows`: the first row that has each label, to be
    shown."""
    total = sum(counts.values())
    rarer = min((True, False), key=lambda label: counts.get(label, 0))
    share = counts.get(rarer, 0) / total if total else 0.0
    name = "right" if rarer else "wrong"
    bar = f" and >= min_share={min_share}" if min_share else ""
    gate(
        share > 0 and share >= min_share,
        f"{stage}: {counts.get(rarer, 0)} of {total} {what} are {name} (share {share:.4f}, needed > 0{bar}): "
        f"nothing can be told apart. Use {'easier' if rarer else 'harder'} problems, more trees, or paths of both "
        "kinds."
        + "".join(f" The first that is {'right' if label else 'wrong'}: {row}." for label, row in rows.items()),
    )
