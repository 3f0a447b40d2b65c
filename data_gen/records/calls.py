"""What a prompt program asked, what came back and what it cost: the conversation behind a solution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from data_gen.records.rows import Long


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation: `Turn("user", "What is 3 + 4?")`."""

    role: str
    """`system`, `user` or `assistant`."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One request to a model.

    `ModelCall(role="policy", path="run/0/feedback", asked=(Turn("user", "Find a mistake."),), replies=("No error",),
    finishes=("stop",))`
    """

    role: str
    """Name of the model in the program: `policy`, or a name in the stage's `models`."""
    path: str
    """Place of the request in the program. With the seed it determines the random stream."""
    asked: tuple[Turn, ...] = ()
    """Empty: the policy's own prompt of the question."""
    replies: tuple[str, ...] = ()
    finishes: tuple[str, ...] = ()
    """How each reply ended: `stop`, `length`, or `no_room` if the prompt left no room in the context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one role has cost: `Charge(role="policy", requests=1, calls=4, generated=96, read=40)`."""

    role: str
    requests: Long = 0
    calls: Long = 0
    """Completions. A request for n samples makes n."""
    generated: Long = 0
    """Tokens that the model wrote."""
    read: Long = 0
    """Tokens of its prompts, each prompt once for all of its samples."""
    scored: Long = 0
    """Tokens that a verifier, or the model as one, read to score what others wrote."""

    def __add__(self, other: Charge) -> Charge:
        """Both together. The role is the first one's."""
        return Charge(
            role=self.role,
            requests=self.requests + other.requests,
            calls=self.calls + other.calls,
            generated=self.generated + other.generated,
            read=self.read + other.read,
            scored=self.scored + other.scored,
        )


def total(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """One charge a role, in the order of first mention.

    >>> total([Charge(role="a", calls=1), Charge(role="b", read=5), Charge(role="a", calls=2)])[0].calls
    3
    """
    found: dict[str, Charge] = {}
    for charge in charges:
        found[charge.role] = found[charge.role] + charge if charge.role in found else charge
    return tuple(found.values())
