"""A joint policy's own value at the last token (AlphaMath, arXiv 2405.03553). It needs no second forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from data_gen.engines.base import LM
from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers.base import SCORERS, Score, ScorerConfig, Tools

if TYPE_CHECKING:
    from data_gen.verifiers.heads import HeadConfig

MIDDLE = {Scale.P: 0.5, Scale.SIGNED: 0.0, Scale.ODDS: 0.0, Scale.PROGRESS: 0.0, Scale.RANKING: 0.0}
"""Value of a prompt before any token was drawn. ReST-MCTS*'s progress starts at 0."""


@SCORERS.register("joint")
class Joint(ScorerConfig):
    """`{uses: joint}`: the policy's value at the last token, on the scale of its head.

    The root, which was not drawn, has the middle of the scale.
    """

    needs_value_head: ClassVar[bool] = True

    uses: Literal["joint"] = "joint"
    scale: Scale | None = None
    """The expected scale of the head. None: accept any. A head with another scale is refused."""

    def open(self, tools: Tools) -> _Joint:
        """UserError if the policy has no value head."""
        head = tools.policy_head
        if head is None:
            raise UserError(
                "scorer.joint reads the policy's own values, but the policy has no value head. Use a joint model, or "
                "scorer `head`."
            )
        self.check_head(head)
        return _Joint(tools.policy_hash, head.scale)

    def check_head(self, head: HeadConfig) -> None:
        """UserError if the head's scale is not the expected one."""
        if self.scale is not None:
            head.model_copy(update={"scale": self.scale}).check_same(head, "scorer.joint", "the policy")


class _Joint:
    def __init__(self, policy_hash: str, scale: Scale) -> None:
        self.name, self.scale = f"joint:{policy_hash}", scale

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """The values that the engine returned with each last token."""
        return [Score(self._value(prefix)) for prefix in prefixes]

    def _value(self, prefix: Prefix) -> float:
        if prefix.value is not None:
            return prefix.value
        if not prefix.token_ids:
            return MIDDLE[self.scale]
        raise UserError(
            f"scorer {self.name}: the engine gave no value with the tokens that it drew for problem "
            f"{prefix.problem.id!r}. Only `engine: {{uses: transformers}}` does; elsewhere use scorer `head` with the "
            "joint model as its verifier."
        )
