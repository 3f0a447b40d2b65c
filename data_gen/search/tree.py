"""One problem's tree with everything that a search may do to it: draw steps, draw rollouts, score, grade.

Algorithms call these methods and read like their papers. The engine batches over branches and problems. Caching,
scales, limits and token counts are kept here. Node ids and paths of random streams follow the order of the calls, never
the order of completion.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from data_gen.engines.base import LM, Sample
from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.records.scales import Scale, check, convert, convertible
from data_gen.records.segment import Kind
from data_gen.records.trees import Tree
from data_gen.scorers.base import GrantedGold, Rollout, Scorer
from data_gen.search.drawing import Pen
from data_gen.search.expand import Expand, same_step
from data_gen.search.node import Node
from data_gen.search.reading import Limits, Reader


class SearchTree:
    """A growing tree. `scorer` sets `Node.value` on `scale`. `gold`, if the stage grants it, sets `Node.outcome`."""

    def __init__(
        self,
        problem: Problem,
        lm: LM,
        codec: StepCodec,
        limits: Limits,
        scale: Scale,
        *,
        scorer: Scorer | None = None,
        gold: GrantedGold | None = None,
        given: Sequence[Sample] = (),
    ) -> None:
        self.problem, self.lm, self.codec, self.limits, self.scale = problem, lm, codec, limits, scale
        self.scorer, self._gold, self.reader = scorer, gold, Reader(codec, limits)
        self.prompt_ids = tuple(codec.prompt_ids(problem.question))
        self.nodes: list[Node] = []
        self.root = self._enter(
            Node(id=0, parent=None, token_ids=self.prompt_ids, text=codec.prompt_text(problem.question))
        )
        self._given = list(given)
        """Solutions that were drawn before. Whole solutions drawn at the root are taken from here first."""
        self.generated_tokens = self.scored_tokens = self.requests = 0
        self.stopped = "budget"
        """Why the search ended. Algorithms that end for another reason set it."""
        self._scorings = 0

    async def expand(self, node: Node, how: Expand, n: int | None = None) -> list[Node]:
        """Children of `node` for `n` draws (default `how.n`), in order of their first draw. Equal draws are merged,
        also with earlier children.

        Empty for a terminal node. Children may be terminal themselves.
        """
        [children] = await self.expand_all([node], how, n)
        return children

    async def expand_all(self, nodes: Sequence[Node], how: Expand, n: int | None = None) -> list[list[Node]]:
        """`expand` for several nodes at once. Results and ids follow the order of `nodes`."""
        return [list(dict.fromkeys(drawn)) for drawn in await self.draw(nodes, how, n or how.n)]

    async def draw(self, nodes: Sequence[Node], how: Expand, n: int = 1, *, source: str = "policy") -> list[list[Node]]:
        """n children for each entry of `nodes`, one per draw. Equal draws are one node, listed as often as it was
        drawn.

        A node listed k times (particles that share a path) gets one request for k * n draws, and every entry gets its
        own share. Empty for a terminal node.
        """
        copies = Counter(node for node in nodes if not node.terminal)
        samples = await asyncio.gather(*(self._draw(node, how, k * n) for node, k in copies.items()))
        drawn = {node: iter(self._merge(node, found, how, source)) for node, found in zip(copies, samples, strict=True)}
        return [[] if node.terminal else list(islice(drawn[node], n)) for node in nodes]

    async def advance(self, nodes: Sequence[Node], how: Expand, *, source: str = "policy") -> list[Node]:
        """Every path one drawn step further. Ended paths stay as they are."""
        drawn = await self.draw(nodes, how, source=source)
        return [children[0] if children else node for node, children in zip(nodes, drawn, strict=True)]

    def attach(self, node: Node, sample: Sample, how: Expand, source: str) -> Node:
        """A child of `node` that the policy did not draw there."""
        child = self._enter(self.reader.step(node, sample, how, source))
        child.draws = 0
        return child

    async def solve(self, node: Node, n: int, how: Expand) -> list[Node]:
        """The ends of n whole solutions drawn from `node`, one per draw, each as a path of steps. Shared beginnings are
        one path."""
        samples = await self._draw(node, how.model_copy(update={"segment": "solution"}), n)
        return [self._graft(node, self.reader.solution(node, sample)) for sample in samples]

    async def complete(self, nodes: Sequence[Node], n: int, how: Expand) -> None:
        """Draws rollouts to the end of the solution from each of `nodes` that has fewer than n. They are kept as leaves
        and enter its mc counts (needs gold). Ended nodes get none."""
        gold, whole = self.gold("rollouts"), how.model_copy(update={"segment": "solution"})
        lacking = {node: k for node in nodes if not node.terminal and (k := n - len(node.rollouts())) > 0}
        drawn = await asyncio.gather(*(self._draw(node, whole, k) for node, k in lacking.items()))
        answered = [
            (node, s, self.reader.answer(node, s)) for node, found in zip(lacking, drawn, strict=True) for s in found
        ]
        solutions = [None if answer is None else (*node.ids, *s.token_ids) for node, s, answer in answered]
        outcomes = await asyncio.gather(*(gold.outcome(self.problem, ids) for ids in solutions))
        for (node, sample, answer), outcome in zip(answered, outcomes, strict=True):
            self._hang(node, Rollout(sample, answer, outcome))

    def unroll(self, leaf: Node) -> list[Node]:
        """The steps of a rollout as a path below the node that it was drawn from, including its end. They add no
        draws."""
        assert leaf.parent is not None
        sample = Sample(
            token_ids=leaf.token_ids, logprobs=leaf.logprobs, finish="length" if leaf.terminal == "limit" else "stop"
        )
        end = self._graft(leaf.parent, self.reader.solution(leaf.parent, sample, "replayed"))
        end.outcome = leaf.outcome
        return end.path()[leaf.parent.depth :]

    async def evaluate(self, nodes: Sequence[Node]) -> list[float]:
        """The scorer's values of `nodes` on the tree's scale, in order. Each node is scored once. UserError for NaN and
        scales that do not convert."""
        if self.scorer is None:
            raise UserError(
                "This search needs a scorer; give its stage a `scorer:` (and a `verifier:` where that reads a "
                "checkpoint)."
            )
        fresh = [node for node in dict.fromkeys(nodes) if node.value is None]
        if fresh:
            self._scorings += 1
            scores = await self.scorer([self.prefix(node) for node in fresh], self.lm.at("score", self._scorings))
            for node, score in zip(fresh, scores, strict=True):
                who = f"scorer {self.scorer.name} on problem {self.problem.id!r}"
                node.value = convert(check(score.value, self.scorer.scale, who), self.scorer.scale, self.scale)
                self.scored_tokens += score.tokens
                self.requests += len(score.rollouts)
                for rollout in score.rollouts:
                    self.generated_tokens += len(rollout.sample.token_ids)
                    self._hang(node, rollout)
        return [node.value for node in nodes if node.value is not None]

    async def judge(self, nodes: Sequence[Node]) -> list[float | None]:
        """Outcomes of terminal nodes by gold, in order: 1 right, 0 wrong (also without an answer or cut), None if
        unverifiable or open."""
        gold = self.gold("outcomes")
        await judge(self.problem, nodes, gold)
        return [node.outcome for node in nodes]

    def reward(self, node: Node) -> float | None:
        """The outcome of a terminal node on the tree's scale: the worst value for one without an answer, None if it is
        unknown or the scale has no outcomes."""
        outcome = 0.0 if node.terminal in ("invalid", "limit") else node.outcome
        return (
            convert(outcome, Scale.P, self.scale) if outcome is not None and convertible(self.scale, Scale.P) else None
        )

    def gold(self, what: str) -> GrantedGold:
        """The gold that the stage granted. UserError if it granted none."""
        if self._gold is None:
            raise UserError(
                f"This search needs {what} and therefore gold answers, which its stage does not grant. On "
                "training problems set `gold: true`."
            )
        return self._gold

    @property
    def granted(self) -> bool:
        """Whether the search may use gold."""
        return self._gold is not None

    def prefix(self, node: Node) -> Prefix:
        """The partial solution that ends with `node`, as scorers see it."""
        return Prefix(
            problem=self.problem,
            prompt_ids=self.prompt_ids,
            token_ids=node.ids,
            ends=tuple(step.length - 1 for step in node.path()) if _in_pieces(node) else (),
            cuts=tuple(step.length for step in node.path()),
            read=functools.cache(lambda: self.steps(node)),
            ended=bool(node.terminal),
            answer=node.answer,
            value=node.head_value,
        )

    def steps(self, node: Node) -> tuple[tuple[str, ...], str]:
        """(reasoning steps, answer line) of the partial solution, stripped, by the same rule as for whole solutions."""
        if _in_pieces(node):  # the common case, without decoding again
            pieces = [(step.text.strip(), self.codec.is_answer(step.text)) for step in node.path()]
        else:
            found = (s for s in self.codec.split(node.ids) if s.kind in (Kind.STEP, Kind.ANSWER))
            pieces = [(s.text.strip(), s.kind is Kind.ANSWER) for s in found]
        steps = tuple(text for text, last in pieces if not last and text)
        return steps, next((text for text, last in pieces if last), "")

    def rng(self, *path: str | int) -> random.Random:
        """A generator for the search's own draws: resampling, choices (see `LM.rng`)."""
        return self.lm.at(*path).rng()

    def vote(self, weights: Sequence[tuple[Node, float]]) -> None:
        """Gives leaves their share of the final vote, one entry per final path (a leaf may have several). If all
        weights are 0, the paths count equally."""
        total = sum(weight for _, weight in weights)
        for node, weight in weights:
            node.votes += 1
            node.weight += weight / total if total > 0 else 1 / len(weights)

    def frozen(self, sample: int, *, oracle: bool, search: str = "") -> Tree:
        """The record of the current tree, as the problem's tree number `sample` by the algorithm `search`."""
        return Tree(
            problem_id=self.problem.id,
            sample=sample,
            nodes=tuple(node.frozen() for node in self.nodes),
            scale=str(self.scale),
            search=search,
            scorer=self.scorer.name if self.scorer else "",
            stopped=self.stopped,
            oracle=oracle,
            generated_tokens=self.generated_tokens,
            scored_tokens=self.scored_tokens,
            requests=self.requests,
            group=self.problem.group,
            difficulty=self.problem.difficulty,
            question=self.problem.question,
            tags=self.problem.tags,
        )

    async def _draw(self, node: Node, how: Expand, n: int) -> list[Sample]:
        node.expansions += 1
        at = self.lm.at("expand", node.id, node.expansions)
        sampling = how.sampling(self.codec.format.task.step_delimiter, self.limits.max_length - node.length)
        pen = Pen(sampling, len(self.prompt_ids), self.reader)
        draw = pen.draw_steps if how.segment == "step" else pen.draw
        given = self._take(n) if how.segment == "solution" and node is self.root else []
        samples = await draw((*self.prompt_ids, *node.ids), n - len(given), at) if len(given) < n else []
        self.generated_tokens += sum(len(sample.token_ids) for sample in samples)
        self.requests += n
        return given + samples

    def _take(self, n: int) -> list[Sample]:
        """Solutions drawn before are charged with their cost; a strategy over a stored pool would otherwise look
        free."""
        taken, self._given = self._given[:n], self._given[n:]
        self.generated_tokens += sum(len(sample.token_ids) for sample in taken)
        return taken

    def _merge(self, node: Node, samples: Sequence[Sample], how: Expand, source: str) -> list[Node]:
        """The children for `samples`, one per sample. Equal samples share one node."""
        found: list[Node] = []
        known = [child for child in node.children if child.source == source] if source == "lookahead" else node.steps()
        for sample in samples:
            child = self.reader.step(node, sample, how, source)
            twin = next((other for other in known if same_step(how, other, child)), None)
            if twin is None:
                twin = self._enter(child)
                known.append(twin)
            else:
                twin.draws += 1
            found.append(twin)
        return found

    def _graft(self, node: Node, chain: Sequence[Node]) -> Node:
        """The end of a path of steps below `node`. Existing steps are reused."""
        for child in chain:
            child.parent = node
            twin = next((other for other in node.steps() if same_step(Expand(), other, child)), None)
            drawn = 0 if child.source == "replayed" else 1
            if twin is None:
                child.draws = drawn
                twin = self._enter(child)
            else:
                twin.draws += drawn
            node = twin
        return node

    def _hang(self, node: Node, rollout: Rollout) -> None:
        """Keeps a rollout as a leaf of `node` and counts it. Unverifiable ones are kept but not counted."""
        self._enter(self.reader.rollout(node, rollout))
        if rollout.outcome is not None:
            node.mc_correct += rollout.outcome
            node.mc_total += 1

    def _enter(self, node: Node) -> Node:
        node.id = len(self.nodes)
        self.nodes.append(node)
        if node.parent is not None:
            node.parent.children.append(node)
        return node


def _in_pieces(node: Node) -> bool:
    """Whether every node of the path is one piece of the Format's segmentation."""
    return all(step.piece for step in node.path())


async def judge(problem: Problem, nodes: Sequence[Node], gold: GrantedGold) -> None:
    """Sets the outcomes of terminal nodes."""
    fresh = [node for node in nodes if node.terminal and node.outcome is None]
    solutions = [None if node.answer is None else node.ids for node in fresh]
    outcomes = await asyncio.gather(*(gold.outcome(problem, ids) for ids in solutions))
    for node, outcome in zip(fresh, outcomes, strict=True):
        node.outcome = outcome
