"""What a loss is: a small config that recipes write, and a function of one forward pass.

    @LOSSES.register("unlikelihood")
    class Unlikelihood(Loss):
        uses: Literal["unlikelihood"] = "unlikelihood"
        reads = ("tokens",)

        def normalizer(self, row: Row) -> float:
            return predicted_weight(row)

        def __call__(self, out: Outputs) -> Tensor:
            return -(torch.log1p(-out.logprobs.exp()) * out.batch["token_weight"]).sum()

    losses: [cross_entropy, {uses: unlikelihood, weight: 0.1}]

A loss that is registered so joins every trainer whose rows it can read. Modules of losses import nothing heavy at top
level: a plan reads their configs without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from data_gen.registry import Piece, Registry

if TYPE_CHECKING:
    from torch import Tensor

    from data_gen.verifiers.heads import HeadConfig
    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs

Reading = Literal["tokens", "solutions", "teacher", "pairs", "reference", "targets", "ranks"]
READINGS: dict[Reading, str] = {
    "tokens": "tokens that carry weight",
    "solutions": "solutions to imitate",
    "teacher": "a teacher's likeliest tokens",
    "pairs": "pairs of a better and a worse continuation",
    "reference": "log-probabilities of a reference model",
    "targets": "a value head and targets for it",
    "ranks": "a value head and ranked solutions or steps",
}
"""What the rows of a training can hold for a loss, in words."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a loss reads of a forward pass beside log-probabilities of chosen tokens and scores of the head.

    `Needs(entropy=True)`, `Needs(ids=("teacher_ids",))`, `Needs(layers=(4, -1))`. It is computed 512 positions at a
    time, once for every prediction that traces share, and only where a loss asks for it.
    """

    entropy: bool = False
    """`out.entropy` [P]."""
    top: int = 0
    """`out.top(k)` for every k up to this: the k likeliest tokens, ids and log-probabilities [P, k]."""
    ids: tuple[str, ...] = ()
    """Columns of token ids (`Trace.columns`) whose log-probabilities `out.logprobs_of(name)` [P, K] gives."""
    layers: tuple[int, ...] = ()
    """Layers whose states `out.hidden(layer)` [P, H] gives: 0 the embeddings, -1 what the logits are made of."""

    @property
    def copies(self) -> int:
        """Tensors of the size of a chunk's logits that it adds: for an entropy normalised logits, probabilities, their
        product and a gradient, for the others a gradient each."""
        return 4 * self.entropy + bool(self.top) + len(self.ids)

    def __or__(self, other: Needs) -> Needs:
        """Both together."""
        return Needs(
            self.entropy or other.entropy,
            max(self.top, other.top),
            tuple(dict.fromkeys(self.ids + other.ids)),
            tuple(dict.fromkeys(self.layers + other.layers)),
        )


class Loss(Piece, ABC):
    """One term of a training's objective; each has a `uses: Literal["name"] = "name"`, its name in curves."""

    reads: ClassVar[tuple[Reading, ...]]
    """What its rows must hold. A training whose rows do not is refused when the recipe loads."""
    watched: ClassVar[tuple[str, ...]] = ()
    """Figures that stand beside the loss in curves, as in `dpo_accuracy`."""

    weight: float = Field(1.0, gt=0)
    """What the term's mean is multiplied by."""

    @property
    def needs(self) -> Needs:
        """What it reads of a forward pass beside the usual."""
        return Needs()

    def head_problem(self, head: HeadConfig) -> str | None:
        """Why it cannot train such a head; None where it can. Asked of losses that read `targets` or `ranks`."""
        return None

    @abstractmethod
    def normalizer(self, row: Row) -> float:
        """The row's share of the weight that the sum over an optimizer step is divided by."""

    @abstractmethod
    def __call__(self, out: Outputs) -> Tensor:
        """The weighted sum over the batch, a scalar."""

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Weighted sums of the watched figures over the batch, to be divided as the loss is."""
        return ()


LOSSES: Registry[type[Loss]] = Registry(
    "loss", package="reasoning_train.trainers.losses", group="reasoning_train.losses"
)
"""Name -> loss."""


def predicted_weight(row: Row) -> float:
    """Weight of all tokens of a row but the first of each trace, which nothing predicts."""
    return sum(sum(trace.weights[1:]) for trace in row.traces)
