"""Feynman-Kac potentials: how much a step counts when paths compete (FK steering, arXiv 2501.06848, section 3; particle
filtering, arXiv 2502.01618).

A potential is the log-weight that a path has gathered so far. A step's factor G_t is the difference to the path above
it, so every `kind` that has a target telescopes to exp(lam * r_T), with or without resampling. The released FK code
multiplies clamped weights in linear space; here they are logarithms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from data_gen.records.scales import Scale, clip_p, convert
from data_gen.registry import Part
from data_gen.search.node import Node


class Potential(Part):
    """`Potential(kind="difference", reward="p", lam=10)` targets p(y) * exp(10 * P(correct | y)).

    With reward log_p and lam 1, weights are P(correct). With odds and lam = 1/T they are (p / (1 - p))^(1/T).
    """

    kind: Literal["absolute", "current", "difference", "max", "sum", "final"] = "absolute"
    """log G_t / lam. `current`: r_t. `difference`: r_t - r_(t-1). `max`: the greatest r so far. `sum`: the sum of all r
    so far. `final`: 0 before the end (importance weights only). A path's last factor cancels the earlier ones, so that
    r_T alone remains. `absolute` is `current` without that: particle filtering as published, which over-weights paths
    that look good at every prefix."""
    reward: Literal["p", "signed", "log_p", "odds"] = "odds"
    """How r is read from the scorer's value: P(correct), 2p - 1, log p, or log(p / (1 - p)). Logarithms clip p to
    [1e-4, 1 - 1e-4]."""
    lam: float = Field(1.0, gt=0)
    """lambda, the strength; 1 / T in particle filtering. On `signed`, half of it has the same effect as on `p`."""
    start: float = 0.0
    """Initial value of `max` (r_0)."""

    @property
    def telescopes(self) -> bool:
        """Whether the product of a path's factors is exp(lam * r_T), so that the potential has a target."""
        return self.kind != "absolute"

    def reward_of(self, value: float, scale: Scale) -> float:
        """r of a value. UserError for scales that are not probabilities: progress and ranking need calibration
        first."""
        match self.reward:
            case "log_p":
                return math.log(clip_p(convert(value, scale, Scale.P)))
            case "odds":
                return convert(value, scale, Scale.ODDS)
            case "signed":
                return convert(value, scale, Scale.SIGNED)
        return convert(value, scale, Scale.P)

    def gathered(self, rewards: Sequence[float], *, ended: bool) -> float:
        """log of the product of G_1..G_t for a path with these rewards.

        >>> Potential(kind="max", reward="p", lam=2).gathered([0.2, 0.5, 0.4], ended=False)
        2.4
        """
        if not rewards:
            return 0.0
        if ended and self.telescopes:
            return self.lam * rewards[-1]
        match self.kind:
            case "difference":
                return self.lam * rewards[-1]
            case "max":
                return self.lam * sum(itertools.accumulate([max(self.start, rewards[0]), *rewards[1:]], max))
            case "sum":
                return self.lam * sum(itertools.accumulate(rewards))
            case "final":
                return 0.0
        return self.lam * sum(rewards)

    def of_path(self, node: Node, scale: Scale) -> float:
        """`gathered` for a live path whose steps have values."""
        rewards = [self.reward_of(step.value, scale) for step in node.path() if step.value is not None]
        return self.gathered(rewards, ended=bool(node.terminal))

    def factor(self, before: Node, after: Node, scale: Scale) -> float:
        """log G of one round in which a path went from `before` to `after`. A path that has ended stays where it is.

        The factor of an ended path is 1, except under `absolute`, which weights it by its end in every round, as the
        released code does.
        """
        if after is not before:
            return self.of_path(after, scale) - self.of_path(before, scale)
        return 0.0 if self.telescopes or after.value is None else self.lam * self.reward_of(after.value, scale)
