"""A world small enough to enumerate: every path with its probability, every value exact, any search runs on it.

A solution is `depth` lines of one letter each and then `Answer: 1` (right) or `Answer: 0`. `World.tree` gives the
letters that may follow a path, with their probabilities; the engine draws from it, so that a search's output can be
held against the truth.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_gen.engines.base import LM, Request, Sample, Sampling, Usage
from data_gen.engines.programs import run_programs
from data_gen.format import Format, StepCodec
from data_gen.graders.exact import Exact
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.records.scales import Scale
from data_gen.scorers.base import GrantedGold, Score, Scorer
from data_gen.search import Limits, Search, SearchTree
from data_gen.tasks.base import Task
from data_gen.tasks.beside import AnyGrader
from reasoning_train.models.words import word_tokenizer

LETTERS = "abcdefgh"
TOKENIZER = word_tokenizer([*LETTERS, "go", "Answer", ":", "0", "1"])
CODEC = StepCodec(Format(), TOKENIZER)
PROMPT = CODEC.prompt_ids("go")
[_, NEWLINE] = PROMPT
Path = tuple[str, ...]
"""Letters so far, e.g. ("a", "c")."""


class ToyTask(Task):
    """The right answer is 1; a step is right unless its letter stands in `wrong`."""

    uses: str = "toy"
    grader: AnyGrader = Exact()
    wrong: tuple[str, ...] = ()

    def splits(self) -> dict[str, int | None]:
        return {"train": 1}

    def problems(self, split: str) -> Any:
        return iter([problem()])

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...] | None:
        return tuple(step not in self.wrong for step in steps)


def problem(name: str = "p", gold: str | None = "1") -> Problem:
    return Problem(id=name, question="go", gold=gold, group=name, split="train")


@dataclass(frozen=True)
class World:
    """`World({(): {"a": 0.75, "b": 0.25}}, {("a",): 1.0, ("b",): 0.0})`: two one-step solutions, the likelier one
    right.

    `right` maps a whole path to P(it answers 1): 0 or 1 makes the answer line certain, None a dead end: its letter ends
    the solution.
    """

    tree: Mapping[Path, Mapping[str, float]]
    right: Mapping[Path, float | None]
    _values: dict[Path, float] = field(default_factory=dict, compare=False)

    @classmethod
    def random(cls, seed: int, depth: int = 3, branching: int = 3, right: float = 0.3) -> World:
        """Random probabilities at every node, each leaf right with probability `right` (at least one is, and one is
        not)."""
        rng, letters = random.Random(seed), LETTERS[:branching]
        tree: dict[Path, dict[str, float]] = {}
        for d in range(depth):
            for path in itertools.product(letters, repeat=d):
                raw = [rng.random() + 0.1 for _ in letters]
                tree[path] = {letter: weight / sum(raw) for letter, weight in zip(letters, raw, strict=True)}
        leaves = list(itertools.product(letters, repeat=depth))
        outcome = {leaf: float(rng.random() < right) for leaf in leaves}
        outcome[leaves[0]], outcome[leaves[-1]] = 0.0, 1.0
        return cls(tree, outcome)

    def leaves(self) -> dict[Path, float]:
        """Whole path -> its probability under the policy."""
        found: dict[Path, float] = {}

        def walk(path: Path, mass: float) -> None:
            if path in self.right:
                found[path] = mass
                return
            for letter, p in self.tree[path].items():
                walk((*path, letter), mass * p)

        walk((), 1.0)
        return found

    def value(self, path: Path) -> float:
        """P(correct | path), exact."""
        if path not in self._values:
            if path in self.right:
                self._values[path] = self.right[path] or 0.0
            else:
                self._values[path] = sum(p * self.value((*path, letter)) for letter, p in self.tree[path].items())
        return self._values[path]

    def named(self, values: Sequence[float]) -> dict[Path, float]:
        """A value for every path, in turn from the given ones."""
        return dict(zip([*self.tree, *self.right], itertools.cycle(values), strict=False))

    def lines(self, path: Path) -> list[tuple[str, float]]:
        """What may come next, with probabilities: letters, or the answer line with its end."""
        p = self.right.get(path)
        if p is not None:
            return [(f"Answer: {answer}", mass) for answer, mass in (("1", p), ("0", 1 - p)) if mass > 0]
        dead = {letter for letter in self.tree[path] if self.right.get((*path, letter), 0.0) is None}
        return [(letter if letter in dead else f"{letter}\n", p) for letter, p in self.tree[path].items()]


@functools.cache
def encoded(text: str) -> tuple[int, ...]:
    """Token ids of a line."""
    return tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"])


class ToyEngine:
    """Draws from a world, from any token on, and scores exactly; temperatures temper lines, not tokens; top-p is
    ignored.

    `cycle`: the i-th sample of a request takes the i-th line instead, over and over, so that a trace can be worked out
    by hand.
    """

    seeded = True

    def __init__(self, world: World, *, cycle: bool = False) -> None:
        self.world, self.cycle, self.usage = world, cycle, Usage()

    async def generate(self, request: Request) -> list[Sample]:
        await asyncio.sleep(0)
        path, part = self._state(request.prefix[request.prompt_length or len(request.prefix) :])
        samples = [
            self._sample(path, part, request.sampling, random.Random(seed), i) for i, seed in enumerate(request.seeds)
        ]
        self.usage.requests += 1
        self.usage.samples += len(samples)
        self.usage.generated_tokens += sum(len(s.token_ids) for s in samples)
        return samples

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """-inf where the world never goes on like that."""
        await asyncio.sleep(0)
        path, part = self._state(prefix[len(PROMPT) :])
        return [self._logprobs(path, part, tuple(continuation)) for continuation in continuations]

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _state(self, ids: Sequence[int]) -> tuple[Path, tuple[int, ...]]:
        """(letters of the whole lines, tokens of the line that is open)."""
        path, part = (), ()
        for token in ids:
            part = (*part, token)
            if token == NEWLINE:
                path, part = (*path, CODEC.decode(part).strip()), ()
        return path, part

    def _lines(self, path: Path, part: tuple[int, ...]) -> list[tuple[tuple[int, ...], float]]:
        """Tokens of all lines that begin with `part`, with the mass of each."""
        return [(ids, p) for ids, p in map(self._tokens, self.world.lines(path)) if ids[: len(part)] == part]

    def _tokens(self, line: tuple[str, float]) -> tuple[tuple[int, ...], float]:
        return (*encoded(line[0]), *([] if line[0].endswith("\n") else [CODEC.end_id])), line[1]

    def _logprobs(self, path: Path, part: tuple[int, ...], tokens: tuple[int, ...]) -> list[float]:
        found: list[float] = []
        for token in tokens:
            lines = self._lines(path, part) if -math.inf not in found else []
            mass, part = sum(p for _, p in lines), (*part, token)
            after = sum(p for ids, p in lines if ids[: len(part)] == part)
            found.append(math.log(after / mass) if after > 0 else -math.inf)
            if token == NEWLINE:
                path, part = (*path, CODEC.decode(part).strip()), ()
        return found

    def _sample(self, path: Path, part: tuple[int, ...], sampling: Sampling, rng: random.Random, turn: int) -> Sample:
        tokens, at, opening = tuple[int, ...](), path, part
        while True:
            lines = self._lines(at, opening)
            ids = (
                lines[turn % len(lines)][0]
                if self.cycle and sampling.temperature
                else self._pick(lines, sampling.temperature, rng)
            )
            tokens += ids[len(opening) :]
            if ids[-1] == CODEC.end_id or "\n" in sampling.stop or len(tokens) >= sampling.max_tokens:
                break
            at, opening = (*at, CODEC.decode(ids).strip()), ()
        kept = tokens[: sampling.max_tokens]
        finish = "stop" if len(kept) == len(tokens) else "length"
        return Sample(token_ids=kept, logprobs=tuple(self._logprobs(path, part, kept)), finish=finish)

    def _pick(
        self, lines: list[tuple[tuple[int, ...], float]], temperature: float, rng: random.Random
    ) -> tuple[int, ...]:
        if temperature == 0:
            return max(lines, key=lambda line: line[1])[0]
        [chosen] = rng.choices([ids for ids, _ in lines], [p ** (1 / temperature) for _, p in lines])
        return chosen


class ToyScorer:
    """`values(path)` of the letters so far, on `scale`; `noise` and NaN are the test's business."""

    def __init__(self, values: Callable[[Path], float], scale: Scale = Scale.P) -> None:
        self.name, self.scale, self._values = "toy", scale, values
        self.scored: list[Path] = []

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        await asyncio.sleep(0)
        # half an answer line is no letter
        paths = [tuple(step for step in prefix.steps if step in LETTERS) for prefix in prefixes]
        self.scored += paths
        return [
            Score(self._values(path), tokens=len(prefix.token_ids))
            for path, prefix in zip(paths, prefixes, strict=True)
        ]


def letters_of(text: str) -> Path:
    """The path that a partial solution's text spells."""
    return tuple(line.strip() for line in text.split("\n") if line.strip() in LETTERS and line.strip())


def grow(
    search: Search,
    world: World,
    *,
    scorer: Scorer | None = None,
    gold: bool = True,
    seed: int = 0,
    runs: int = 1,
    task: ToyTask | None = None,
    cycle: bool = False,
    given: Sequence[Sample] = (),
    engine: ToyEngine | None = None,
) -> list[SearchTree]:
    """`runs` finished trees over problems p0, p1, ... of one world, in order, graded at their ends like the stage's."""
    from data_gen.search.tree import judge

    grader = GrantedGold(task or ToyTask(), CODEC)

    async def program(item: Problem, lm: LM) -> SearchTree:
        limits = Limits(max_depth=search.max_depth, max_length=search.max_length)
        tree = SearchTree(
            item, lm, CODEC, limits, search.scale, scorer=scorer, gold=grader if gold else None, given=given
        )
        await search.run(tree)
        await judge(item, tree.nodes, grader)
        return tree

    problems = [problem(f"p{i}") for i in range(runs)]
    grown = dict(
        run_programs(
            engine or ToyEngine(world, cycle=cycle), problems, program, seed=seed, key=lambda p: p.id, in_flight=64
        )
    )
    return [grown[p] for p in problems]


def path_of(tree: SearchTree, node: Any) -> Path:
    """The letters of a node's partial solution."""
    return letters_of(node.solution)


def distance(found: Mapping[Any, float], exact: Mapping[Any, float]) -> float:
    """Total variation distance of two distributions."""
    return sum(abs(found.get(x, 0.0) - exact.get(x, 0.0)) for x in {*found, *exact}) / 2
