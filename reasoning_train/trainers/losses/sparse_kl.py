"""`sparse_kl`: distillation to a teacher's k likeliest tokens, which stage `soften` stores with every token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reasoning_train.trainers.losses.base import LOSSES, Loss, Needs, predicted_weight

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs

IDS, LOGPROBS = "teacher_ids", "teacher_logprobs"
"""Columns of a trace: the teacher's likeliest tokens at every position, and their log-probabilities."""
LEAST = 1e-7
"""Lower bound of the residual probability: about the precision of a float32 sum of probabilities."""


@LOSSES.register("sparse_kl")
class SparseKL(Loss):
    """The weighted mean over tokens of KL(teacher || student) over the teacher's k likeliest tokens and, as one more
    outcome, all the others together (Fu et al., arXiv 2301.12726, whose code drops the rest)."""

    uses: Literal["sparse_kl"] = "sparse_kl"
    reads = ("solutions", "teacher")

    residual: bool = True
    """Keep the rest of the probability as one outcome. False: both distributions are renormalised over the k tokens, so
    that the student's mass on other tokens costs nothing."""

    @property
    def needs(self) -> Needs:
        """The student's log-probabilities of the teacher's tokens."""
        return Needs(ids=(IDS,))

    def normalizer(self, row: Row) -> float:
        """The weight of all predicted tokens."""
        return predicted_weight(row)

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over the tokens of all traces."""
        teacher, student = out.column(LOGPROBS), out.logprobs_of(IDS)
        if self.residual:
            teacher, student = _with_rest(teacher), _with_rest(student)
        else:
            teacher, student = teacher.log_softmax(-1), student.log_softmax(-1)
        p = teacher.exp()
        kl = (p * (teacher - student)).masked_fill(p == 0, 0.0).sum(-1)
        return (kl * out.batch["token_weight"]).sum()


def _with_rest(logprobs: Tensor) -> Tensor:
    """[P, K + 1]: appends the log of the remaining probability."""
    import torch

    rest = (1 - logprobs.exp().sum(-1, keepdim=True)).clamp_min(LEAST)
    return torch.cat((logprobs, rest.log()), -1)
