"""Sequential revision (Snell et al., arXiv 2408.03314, section 6): chains of attempts, each of which sees the attempts
before it; the answer is elected among all of them.

    ask:draft(chains) > each(chains){ (ask:revision)*(turns - 1) } > [score] > vote
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from data_gen.measures.base import Direction
from data_gen.programs import PROGRAMS
from data_gen.programs.base import PromptProgram
from data_gen.programs.flips import DIRECTIONS, RATIOS, SHARES, flips
from data_gen.programs.question import BareProblem
from data_gen.programs.wording import needs
from data_gen.records.solution import Solution
from data_gen.search.votes import VOTES, ScoredVote, Vote
from data_gen.search.votes.majority import Majority

if TYPE_CHECKING:
    from data_gen.programs.kit import Kit

    AnyVote = Vote
else:
    AnyVote = VOTES.union()

TEMPLATE = "{asked}\n\nEarlier attempts, which may be wrong:\n\n{attempts}\n\nSolve it again and mend what is wrong."


@PROGRAMS.register("revise")
class Revise(PromptProgram):
    """`program: {uses: revise, turns: 4, chains: 2}`: every chain begins with an answer to the question alone; each
    further attempt sees the last `keep` attempts of its chain.

    One row an attempt, with its own prompt, so that attempts are training rows. `chains: n, turns: 1` is parallel
    sampling, charged alike. Stage `revision_chains` makes the rows that train a policy for it.
    """

    uses: Literal["revise"] = "revise"
    turns: int = Field(4, ge=1)
    """Attempts of a chain."""
    chains: int = Field(1, ge=1)
    keep: int = Field(4, ge=0)
    """Most earlier attempts that a prompt shows, the last ones of the chain. 0: every attempt sees the question
    alone."""
    vote: AnyVote = Majority()
    """What elects the answer: `majority`, or with `scored: true`, `argmax` and `weighted` by the stage's `scorer`."""
    scored: bool = False
    """Score every attempt by the stage's `scorer`."""
    by_chain: bool = False
    """Elect within every chain first, then among the elected."""
    template: str = TEMPLATE
    """Holds `{question}` or `{asked}`, and `{attempts}`."""
    between: str = "\n\n"
    """Stands between two attempts."""

    @model_validator(mode="after")
    def _complete(self) -> Revise:
        needs("template", self.template, "attempts")
        if self.vote.measures():
            raise ValueError(f"vote: {self.vote.uses!r} reads measures of solutions, which no program gets")
        if self.vote.abstains:
            raise ValueError(f"vote: {self.vote.uses!r} may abstain, but every run has an answer; take another rule")
        if self.vote.counted != "search":
            raise ValueError(f"vote: {self.vote.uses!r} reads the values of steps, which no program gets")
        if _reads_scores(self.vote) and not self.scored:
            raise ValueError(f"vote: {self.vote.uses!r} reads scores; say `scored: true` and name a `scorer`")
        return self

    @property
    def needs_scorer(self) -> bool:
        """True if attempts are scored."""
        return self.scored

    @property
    def most_calls(self) -> int:
        """Attempts of all chains."""
        return self.chains * self.turns

    @property
    def strategy(self) -> str:
        """`revise 2x4, majority`: chains x turns."""
        within = " within chains" if self.by_chain else ""
        return f"revise {self.chains}x{self.turns}, {self.vote.uses}{within}"

    @property
    def stops(self) -> Sequence[int]:
        """Every number of turns but the last."""
        return range(1, self.turns)

    def directions(self) -> Mapping[str, Direction]:
        """Flips from one attempt to the next."""
        return DIRECTIONS

    def shares(self) -> frozenset[str]:
        """The share of last attempts that are right."""
        return SHARES

    def ratios(self) -> Mapping[str, tuple[str, ...]]:
        """The share of right attempts that were lost."""
        return RATIOS

    def measure(self, rows: Sequence[Solution]) -> dict[str, float]:
        """Flips of the run."""
        return flips(rows)

    async def solve(self, problem: BareProblem, kit: Kit) -> list[Solution]:
        """Attempts, chain by chain."""
        drafts = await kit.at("draft").ask(None, self.chains)
        firsts = [kit.solution(draft, chain=i, turn=0) for i, draft in enumerate(drafts)]
        chains = await asyncio.gather(*(self._chain(first, kit.at("chain", i)) for i, first in enumerate(firsts)))
        rows = [row for chain in chains for row in chain]
        return await kit.at("verifier").score(rows) if self.scored else rows

    async def _chain(self, first: Solution, kit: Kit) -> list[Solution]:
        rows = [first]
        for turn in range(1, self.turns):
            place = kit.at("turn", turn)
            shown = [row.said for row in rows]
            [reply] = await (place.ask(self.template, attempts=self.attempts(shown)) if self.keep else place.ask())
            rows.append(place.solution(reply, chain=first.chain, turn=turn))
        return rows

    def attempts(self, said: Sequence[str]) -> str:
        """What a prompt shows of a chain's attempts so far."""
        return self.between.join(said[len(said) - self.keep if len(said) > self.keep else 0 :])

    def choose(self, rows: Sequence[Solution], kit: Kit) -> int:
        """The elected attempt; the last one if no attempt has an answer."""
        left = list(range(len(rows)))
        if self.by_chain:
            chains = {chain: [i for i in left if rows[i].chain == chain] for chain in {row.chain: None for row in rows}}
            left = [self._elected(rows, own, kit.at("elect", chain or 0)) for chain, own in chains.items()]
        return self._elected(rows, left, kit)

    def _elected(self, rows: Sequence[Solution], among: Sequence[int], kit: Kit) -> int:
        found = kit.vote([rows[i] for i in among], self.vote)
        return among[-1 if found is None else found]


def _reads_scores(vote: Vote) -> bool:
    """Whether a rule, or one inside it, reads scores."""
    return isinstance(vote, ScoredVote) or any(_reads_scores(one) for _, one in vote if isinstance(one, Vote))
