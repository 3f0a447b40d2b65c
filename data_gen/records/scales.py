"""The scale of a value and conversions between scales. A value is never a bare float.

Only P(correct) may be mixed across sources. A progress value is used only inside its own method. A ranking score orders
candidates of one problem and becomes a probability only through a calibration stage.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

from data_gen.errors import UserError

EPS = 1e-4
"""Probabilities are clipped to this distance from 0 and 1 before a logarithm is taken."""


class Scale(StrEnum):
    """The scale tag that travels with every value."""

    P = "p"
    """P(correct) in [0, 1]."""
    SIGNED = "signed"
    """Expected outcome in [-1, 1], wrong = -1: 2p - 1."""
    ODDS = "odds"
    """log(p / (1 - p)), any real number."""
    PROGRESS = "progress"
    """Share of the way to an answer, in [0, 1] (ReST-MCTS*). It is not a probability."""
    RANKING = "ranking"
    """Orders candidates of one problem (Bradley-Terry, pairwise heads). It is not a probability until calibrated."""


def clip_p(p: float) -> float:
    """A probability clipped to [`EPS`, 1 - `EPS`]."""
    return min(max(p, EPS), 1 - EPS)


def log_odds(p: float) -> float:
    """log(p / (1 - p)) of a clipped probability.

    >>> round(log_odds(0.75), 4)
    1.0986
    """
    p = clip_p(p)
    return math.log(p / (1 - p))


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def convert(value: float, given: Scale, wanted: Scale) -> float:
    """`value` of scale `given`, converted to scale `wanted`. UserError if the two do not convert: progress and ranking
    convert to nothing else, though any value can rank.

    >>> convert(0.5, Scale.SIGNED, Scale.P)
    0.75
    """
    if wanted in (given, Scale.RANKING):
        return value
    if given not in _TO_P or wanted not in _FROM_P:
        raise UserError(
            f"A value of scale {str(given)!r} cannot be read as {str(wanted)!r}: only p, signed and odds convert into "
            "each other. Calibrate the verifier, or use a search that takes its scale."
        )
    return _FROM_P[wanted](_TO_P[given](value))


def convertible(given: Scale, wanted: Scale) -> bool:
    """Whether `convert` would succeed."""
    return wanted in (given, Scale.RANKING) or (given in _TO_P and wanted in _FROM_P)


def as_weight(value: float, scale: Scale) -> float:
    """A value as a non-negative vote: P(correct) if the scale converts, progress unchanged, exp(score) for a
    ranking."""
    if scale is Scale.RANKING:
        return math.exp(min(value, 50.0))
    return convert(value, scale, Scale.P) if convertible(scale, Scale.P) else value


def check(value: float, scale: Scale, who: str) -> float:
    """`value` itself. UserError, which names the source `who`, if it is NaN, infinite or outside its scale."""
    low, high = BOUNDS[scale]
    if not (math.isfinite(value) and low - 1e-6 <= value <= high + 1e-6):
        raise UserError(
            f"{who} gave the value {value!r}, which is not on scale {str(scale)!r} (expected a number from "
            f"{low:g} to {high:g}). Check the checkpoint and the scale that its head declares."
        )
    return value


BOUNDS: dict[Scale, tuple[float, float]] = {
    Scale.P: (0.0, 1.0),
    Scale.SIGNED: (-1.0, 1.0),
    Scale.ODDS: (-math.inf, math.inf),
    Scale.PROGRESS: (0.0, 1.0),
    Scale.RANKING: (-math.inf, math.inf),
}
"""Least and greatest value of every scale."""

_TO_P: dict[Scale, Callable[[float], float]] = {
    Scale.P: lambda v: v,
    Scale.SIGNED: lambda v: (v + 1) / 2,
    Scale.ODDS: sigmoid,
}
_FROM_P: dict[Scale, Callable[[float], float]] = {
    Scale.P: lambda p: p,
    Scale.SIGNED: lambda p: 2 * p - 1,
    Scale.ODDS: log_odds,
}
