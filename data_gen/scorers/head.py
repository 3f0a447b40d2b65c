"""A verifier checkpoint with an outcome, process, token-level, pairwise or progress head, as its `head/head.json` says.

Outcome and process verifiers (Cobbe et al., arXiv 2110.14168; Lightman et al., arXiv 2305.20050), TVM (arXiv
2407.12863), Tree-PLV (arXiv 2407.00390), and AlphaMath's value head read without its policy. The forward passes are in
data_gen/verifiers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from data_gen.engines.base import LM, stream_seed
from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import BOUNDS, Scale
from data_gen.scorers.base import SCORERS, Score, ScorerConfig, Tools
from data_gen.verifiers.heads import Activation, HeadConfig, ReadAt

if TYPE_CHECKING:
    from data_gen.verifiers.gather import Gather
    from data_gen.verifiers.reading import PrefixReader, Readout

Aggregate = Literal["last", "min", "prod", "mean"]


@SCORERS.register("head")
class Head(ScorerConfig):
    """`{uses: head}`: the value of a verifier's head at the prefix's last token.

    `{uses: head, aggregate: min}`: the least value of its steps (Math-Shepherd). `{uses: head, noise: 0.8}`: a bad one.

    A prefix without steps is read at the prompt's last token.
    """

    needs_verifier: ClassVar[bool] = True
    needs_head: ClassVar[bool] = True

    uses: Literal["head"] = "head"
    aggregate: Aggregate = "last"
    """How the values at the ends of the steps are combined. `prod` accepts probabilities only."""
    activation: Activation | None = None
    scale: Scale | None = None
    read_at: ReadAt | None = None
    """Expected properties of the checkpoint. None: accept any. A checkpoint that differs is refused."""
    noise: float = Field(0.0, ge=0, le=1)
    """Share of uniform noise in a probability, to see what a worse verifier does: (1 - noise) * p + noise * U(0, 1).
    A prefix's noise depends only on the seed, the problem and the prefix, so copies share it."""
    too_long: Literal["error", "lowest"] = "error"
    """What happens to a prefix longer than the verifier's context: it ends the stage, or it gets the least value of the
    scale and is counted (`scorer.too_long`)."""

    def open(self, tools: Tools) -> _Head:
        """Load the checkpoint. UserError if its head or Format is not the expected one."""
        from data_gen.verifiers.checkpoint import load_verifier
        from data_gen.verifiers.forward import Forward
        from data_gen.verifiers.gather import Gather
        from data_gen.verifiers.reading import PrefixReader
        from data_gen.verifiers.stepwise import Stepwise, can_read_stepwise

        if tools.verifier is None:
            raise UserError("scorer.head reads a checkpoint, but this stage has none; give it a `verifier:`.")
        verifier = load_verifier(tools.verifier)
        verifier.format.check_same_task(tools.codec.format, "the verifier", "the policy")
        head = verifier.head.config
        self.check_head(head)
        reader = PrefixReader(verifier.codec, tools.codec, head.read_at)
        name = f"head:{tools.verifier_hash}" + ("" if self.aggregate == "last" else f":{self.aggregate}")
        name += f":noise={self.noise:g}" if self.noise else ""
        forward = Stepwise(verifier) if can_read_stepwise(verifier.backbone) else Forward(verifier)
        return _Head(self, name, head.scale, verifier.context, reader, Gather(forward.values), tools)

    def check_head(self, head: HeadConfig) -> None:
        """UserError if the head is not the expected one, or if its values cannot be aggregated as configured."""
        expected = {
            name: value for name in ("activation", "scale", "read_at") if (value := getattr(self, name)) is not None
        }
        head.model_copy(update=expected).check_same(head, "scorer.head", "the checkpoint")
        if self.aggregate != "last" and head.read_at == "last":
            raise UserError(
                f"scorer.aggregate is {self.aggregate!r}, but the head is read at the last token only; expected 'last'."
            )
        if self.aggregate == "prod" and head.scale is not Scale.P:
            raise UserError(
                f"scorer.aggregate is 'prod', but the head's values are of scale {str(head.scale)!r}; only "
                "probabilities multiply. Use last, min or mean."
            )
        if self.noise and head.scale is not Scale.P:
            raise UserError(
                f"scorer.noise is {self.noise:g}, but the head's values are of scale {str(head.scale)!r}; only "
                "probabilities mix with uniform noise. Leave `noise` out, or take a verifier of probabilities."
            )
        if self.too_long == "lowest" and math.isinf(BOUNDS[head.scale][0]):
            raise UserError(
                f"scorer.too_long is 'lowest', but scale {str(head.scale)!r} has no least value; expected 'error'."
            )


class _Head:
    def __init__(
        self,
        config: Head,
        name: str,
        scale: Scale,
        context: int,
        reader: PrefixReader,
        gather: Gather,
        tools: Tools,
    ) -> None:
        self.name, self.scale = name, scale
        self._config, self._context, self._reader, self._gather = config, context, reader, gather
        self._count, self._seed = tools.count, tools.seed

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """One forward for all waiting prefixes. Each prefix is charged in full."""
        readings = [self._read(prefix, lm.program) for prefix in prefixes]
        values = iter(await self._gather.values([reading for reading in readings if reading]))
        return [
            Score(self._noisy(prefix, aggregated(next(values), self._config.aggregate)), tokens=len(reading.ids))
            if reading
            else Score(BOUNDS[self.scale][0])
            for prefix, reading in zip(prefixes, readings, strict=True)
        ]

    def _noisy(self, prefix: Prefix, value: float) -> float:
        """The value with its share of noise."""
        share = self._config.noise
        if not share:
            return value
        rng = random.Random(stream_seed(self._seed, "head", prefix.problem.id, *prefix.token_ids))
        return (1 - share) * value + share * rng.random()

    def _read(self, prefix: Prefix, owner: object) -> Readout | None:
        """The reading of a prefix. None if it is too long and `too_long` allows that."""
        reading = self._reader.read(prefix, owner)
        if len(reading.ids) <= self._context:
            return reading
        if self._config.too_long == "error":
            raise UserError(
                f"scorer {self.name}: a partial solution of problem {prefix.problem.id!r} has {len(reading.ids)} "
                f"tokens, more than the verifier's context of {self._context}. Lower the search's `max_length`, take a "
                "verifier with a longer context, or set the scorer's `too_long: lowest`."
            )
        self._count("scorer.too_long")
        return None


def aggregated(values: Sequence[float], how: Aggregate) -> float:
    """The value of a path, from the values of its steps.

    >>> aggregated((0.5, 0.25, 0.75), "min")
    0.25
    """
    match how:
        case "min":
            return min(values)
        case "prod":
            return math.prod(values)
        case "mean":
            return math.fsum(values) / len(values)
    return values[-1]
