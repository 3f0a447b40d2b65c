"""The head contract: what a value head computes, where it is read and on which scale.

A head turns hidden states into one score per position (`raw`, the input of losses on logits and differences), and the
score into a value. `activation` is applied once, inside the head, so readers of a checkpoint get values and apply
nothing. All of it is in `head.json`.

A head lies in the subfolder `head` of a `from_pretrained` folder. Beside a policy it makes a joint model, beside a bare
backbone a verifier (verifiers/head_files.py). This file imports nothing heavy; the module itself is in
verifiers/value_head.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.records.segment import Kind, Segment

Activation = Literal["none", "sigmoid", "tanh", "clip", "isotonic"]
ReadAt = Literal["step_end", "every_token", "last"]
"""Positions whose values were trained: the last token of every step, every token of the completion, or the last token
only."""
_SCALES: dict[str, tuple[Scale, ...]] = {
    "none": (Scale.ODDS, Scale.RANKING),
    "sigmoid": (Scale.P, Scale.PROGRESS),
    "tanh": (Scale.SIGNED, Scale.RANKING),
    "clip": (Scale.P, Scale.PROGRESS, Scale.SIGNED),
    "isotonic": (Scale.P,),
}
_MEANING = ("kind", "activation", "scale", "read_at", "labels", "positive", "gain", "offset", "knots")


class HeadConfig(BaseModel):
    """Config of a head. `activation(gain * raw + offset)` is a value on `scale`.

    AlphaMath: `HeadConfig(activation="tanh", scale="signed", dropout=0.1)`. TVM: `HeadConfig(activation="clip",
    read_at="every_token")`. Math-Shepherd: `HeadConfig()`. Tree-PLV: `HeadConfig(activation="none", scale="ranking",
    bias=False)`. rStar-Math's PPM, whose activation serves searches only: `HeadConfig(activation="tanh",
    scale="ranking", gain=0.2, init_std=1e-6, read_at="last")`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["scalar", "two_layer", "from_vocab"] = "scalar"
    """One linear layer over hidden states; two with a ReLU between (Qwen2.5-Math RM); or one over the LM's logits
    (ReST-MCTS*), which needs a backbone with its LM head."""
    activation: Activation = "sigmoid"
    """`clip`: cut to the scale's bounds, for heads that regress to a bounded target without another activation.
    `isotonic`: fitted by `calibrate`."""
    scale: Scale = Scale.P
    read_at: ReadAt = "step_end"
    labels: int = Field(1, ge=1)
    """1: the score is the output itself. More: the score is the log-odds of output `positive` against all others
    together."""
    positive: int = Field(0, ge=0)
    gain: float = Field(1.0, gt=0)
    offset: float = 0.0
    """With `gain`: a Platt calibration, or a temperature."""
    knots: tuple[tuple[float, float], ...] = ()
    """(score, value) knots of activation `isotonic`, both ascending. Values are linear between the knots and constant
    outside."""
    bias: bool = True
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the head's input during training."""
    init_std: float | None = Field(None, ge=0)
    """Standard deviation of fresh weights (biases start at 0). None: the backbone's `initializer_range`. With a tiny
    one every value starts at the middle."""

    @model_validator(mode="after")
    def _sound(self) -> HeadConfig:
        check_activation(self.activation, self.scale)
        if self.positive >= self.labels:
            raise ValueError(f"positive={self.positive} is not one of the {self.labels} labels, which count from 0")
        if (self.activation == "isotonic") != (len(self.knots) > 1):
            raise ValueError(
                f"knots: activation {self.activation!r} has {len(self.knots)}; 'isotonic' needs two or more, all "
                "others none"
            )
        if any(a[0] >= b[0] or a[1] > b[1] for a, b in itertools.pairwise(self.knots)):
            raise ValueError("knots: scores must grow from one to the next, and values must not fall")
        return self

    def check_same(self, other: HeadConfig, here: str, there: str, *, more: Sequence[str] = (), mend: str = "") -> None:
        """UserError that names the first difference in the meaning of values, where they are read, or in `more` fields.
        `mend`: what to do."""
        mend = mend or "leave the field out to take what the checkpoint says, or train a head of the other kind"
        for name in (*_MEANING, *more):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise UserError(
                    f"Head mismatch: {here} has {name}={_shown(mine)}, {there} has {name}={_shown(theirs)}. A head is "
                    f"only read the way it was trained; {mend}."
                )


def check_activation(activation: Activation, scale: Scale) -> None:
    """ValueError if values with this activation would leave the scale or mean something else."""
    if scale not in _SCALES[activation]:
        fit = [name for name, scales in _SCALES.items() if scale in scales]
        raise ValueError(
            f"scale {str(scale)!r} does not go with activation {activation!r}; expected activation {' or '.join(fit)}"
        )


def _shown(value: object) -> str:
    return repr(str(value) if isinstance(value, Scale) else value)


def step_ends(segments: Sequence[Segment]) -> list[int]:
    """Index, in a completion's ids, of the last token of every step and of the answer line. The end token belongs to
    the piece before it. Spans that the policy did not write have no end.

    >>> step_ends([Segment(kind=Kind.STEP, text="1\\n", token_ids=(4, 5)),
    ...            Segment(kind=Kind.ANSWER, text="Answer: 1", token_ids=(6,)),
    ...            Segment(kind=Kind.END, text="", token_ids=(1,))])
    [1, 3]
    """
    ends: list[int] = []
    length = 0
    for segment in segments:
        closes = segment.kind is Kind.END and bool(ends) and ends[-1] == length - 1
        length += len(segment.token_ids)
        if closes:
            ends[-1] = length - 1
        elif segment.token_ids and segment.kind.own:
            ends.append(length - 1)
    return ends
