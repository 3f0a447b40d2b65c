"""Interface of losses. A loss is a small config that recipes write and a function of one forward pass.

    @LOSSES.register("unlikelihood")
    class Unlikelihood(Loss):
        uses: Literal["unlikelihood"] = "unlikelihood"
        reads = ("tokens",)

        def normalizer(self, row: Row) -> float:
            return predicted_weight(row)

        def __call__(self, out: Outputs) -> Tensor:
            return -(torch.log1p(-out.logprobs.exp()) * out.batch["token_weight"]).sum()

    losses: [cross_entropy, {uses: unlikelihood, weight: 0.1}]

A registered loss works in every trainer whose rows it can read. Modules of losses import nothing heavy at the top,
because plans read their configs without torch.
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
"""What training rows can hold for a loss, in words."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a loss reads from a forward pass besides log-probabilities of chosen tokens and scores of the head.

    `Needs(entropy=True)`, `Needs(ids=("teacher_ids",))`, `Needs(layers=(4, -1))`. It is computed only if a loss asks
    for it, 512 positions at a time, and once per prediction that traces share.
    """

    entropy: bool = False
    """`out.entropy` [P]."""
    top: int = 0
    """Largest k for `out.top(k)`: ids and log-probabilities [P, k] of the k likeliest tokens."""
    ids: tuple[str, ...] = ()
    """Columns of token ids (`Trace.columns`) whose log-probabilities `out.logprobs_of(name)` [P, K] returns."""
    layers: tuple[int, ...] = ()
    """Layers whose hidden states `out.hidden(layer)` [P, H] returns: 0 for the embeddings, -1 for the input of the
    language-model head."""

    @property
    def copies(self) -> int:
        """Number of tensors of the size of a chunk's logits that this adds. Entropy adds normalised logits,
        probabilities, their product and a gradient; the others add a gradient each."""
        return 4 * self.entropy + bool(self.top) + len(self.ids)

    def __or__(self, other: Needs) -> Needs:
        """The needs of both."""
        return Needs(
            self.entropy or other.entropy,
            max(self.top, other.top),
            tuple(dict.fromkeys(self.ids + other.ids)),
            tuple(dict.fromkeys(self.layers + other.layers)),
        )


class Loss(Piece, ABC):
    """One term of a training objective. `uses: Literal["name"] = "name"` is its name in recipes and curves."""

    reads: ClassVar[tuple[Reading, ...]]
    """What rows must hold. A recipe whose rows do not is refused when it loads."""
    watched: ClassVar[tuple[str, ...]] = ()
    """Figures that are logged with the loss, such as `accuracy`, shown as `dpo_accuracy`."""

    weight: float = Field(1.0, gt=0)
    """Factor of the term's mean in the total loss."""

    @property
    def needs(self) -> Needs:
        """What the loss reads from a forward pass besides the usual."""
        return Needs()

    def head_problem(self, head: HeadConfig) -> str | None:
        """Why the loss cannot train this head; None if it can. Called for losses that read `targets` or `ranks`."""
        return None

    @abstractmethod
    def normalizer(self, row: Row) -> float:
        """The row's share of the normalizer. The loss of an optimizer step is divided by the sum over its rows."""

    @abstractmethod
    def __call__(self, out: Outputs) -> Tensor:
        """The weighted sum over the batch, a scalar."""

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Weighted sums of the watched figures over the batch. They have the same normalizer as the loss."""
        return ()


LOSSES: Registry[type[Loss]] = Registry(
    "loss", package="reasoning_train.trainers.losses", group="reasoning_train.losses"
)
"""Name -> loss."""


def predicted_weight(row: Row) -> float:
    """Weight of all tokens of a row except the first of each trace, which is never predicted."""
    return sum(sum(trace.weights[1:]) for trace in row.traces)
