"""The toy world itself, and the tree's bookkeeping on it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter

import pytest

from data_gen.engines.base import Request, Sample, Sampling
from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.search import Expand
from data_gen.search.algorithms.best_of_n import BestOfN
from data_gen.search.algorithms.mcts import Mcts
from tests.data_gen.search.toy import ToyEngine, ToyScorer, World, encoded, grow, path_of

COIN = World({(): {"a": 0.75, "b": 0.25}}, {("a",): 1.0, ("b",): 0.0})


def test_exact_values_by_hand() -> None:
    world = World(
        {(): {"a": 0.5, "b": 0.5}, ("a",): {"a": 0.2, "b": 0.8}}, {("a", "a"): 1.0, ("a", "b"): 0.0, ("b",): 1.0}
    )
    assert world.leaves() == {("a", "a"): pytest.approx(0.1), ("a", "b"): pytest.approx(0.4), ("b",): 0.5}
    assert world.value(()) == pytest.approx(0.6) and world.value(("a",)) == pytest.approx(0.2)


def test_samples_follow_the_world() -> None:
    """1,000 draws of a 0.75 coin: the count lies within 4 standard deviations (55) of 750."""
    [tree] = grow(BestOfN(n=1000), COIN, scorer=ToyScorer(lambda path: 0.5))
    draws = Counter({path_of(tree, leaf): leaf.draws for leaf in tree.nodes[1:]})
    assert draws.total() == 1000 and len(tree.nodes) == 3
    assert abs(draws[("a",)] - 750) < 55


def test_a_scorer_that_gives_nan_is_named() -> None:
    with pytest.raises(UserError, match="scorer toy on problem 'p0' gave the value nan"):
        grow(BestOfN(n=2), COIN, scorer=ToyScorer(lambda path: float("nan")))


def test_a_scale_that_does_not_convert_is_refused() -> None:
    with pytest.raises(UserError, match="'ranking' cannot be read as 'p'"):
        grow(BestOfN(n=2), COIN, scorer=ToyScorer(lambda path: 0.3, Scale.RANKING))


def test_outcomes_need_a_grant() -> None:
    with pytest.raises(UserError, match="set `gold: true`"):
        grow(Mcts(simulations=3), COIN, scorer=ToyScorer(lambda path: 0.5), gold=False)


def test_equal_draws_are_one_node_and_all_are_counted() -> None:
    world = World.random(1)
    [tree] = grow(Mcts(simulations=12, expand=Expand(n=5)), world, scorer=ToyScorer(world.value))
    for node in tree.nodes:
        texts = [child.text for child in node.children]
        assert len(texts) == len(set(texts))
        if node.children:
            assert sum(child.draws for child in node.children) == 5
    assert tree.generated_tokens == sum(len(n.token_ids) * n.draws for n in tree.nodes[1:])


class Fixed(ToyEngine):
    """Draws these steps in turn, whatever it is asked."""

    def __init__(self, *steps: str) -> None:
        super().__init__(COIN)
        self.samples = [
            Sample(token_ids=ids, logprobs=(-1.0,) * len(ids), finish="stop") for ids in map(encoded, steps)
        ]

    async def generate(self, request: Request) -> list[Sample]:
        return [self.samples[i % len(self.samples)] for i in range(len(request.seeds))]


ONE, TWIN, OTHER = "a b c d e\n", "a b c d f\n", "h g f e d\n"
"""ONE and TWIN share 2 of 4 word triples."""


@pytest.mark.parametrize(
    ("dedupe", "order", "kept"),
    [
        ("none", (ONE, ONE, TWIN, OTHER), [(ONE, 1), (ONE, 1), (TWIN, 1), (OTHER, 1)]),
        ("exact", (ONE, TWIN, ONE, OTHER), [(ONE, 2), (TWIN, 1), (OTHER, 1)]),
        ("near", (ONE, TWIN, ONE, OTHER), [(ONE, 3), (OTHER, 1)]),
        ("near", (TWIN, OTHER, ONE, ONE), [(TWIN, 3), (OTHER, 1)]),
    ],
)
def test_the_first_drawn_stands_for_its_duplicates(
    dedupe: str, order: tuple[str, ...], kept: list[tuple[str, int]]
) -> None:
    """In order of their first draw, run after run."""
    search = Mcts(simulations=1, expand=Expand(n=4, dedupe=dedupe, near=0.5))  # type: ignore[arg-type]
    for _ in range(2):
        [tree] = grow(search, COIN, scorer=ToyScorer(lambda path: 0.5), engine=Fixed(*order))
        assert [(child.text, child.draws) for child in tree.root.steps()] == kept


def test_the_tree_does_not_depend_on_its_company() -> None:
    world = World.random(2)
    search = Mcts(simulations=10, wave=3)
    alone = [grow(search, world, scorer=ToyScorer(world.value), seed=5)[0].frozen(0, oracle=True)]
    many = [t.frozen(0, oracle=True) for t in grow(search, world, scorer=ToyScorer(world.value), seed=5, runs=9)]
    assert many[0] == alone[0] and len({str(t.nodes) for t in many}) > 1


def test_rows_give_the_tree_back() -> None:
    from data_gen.records.trees import Tree, read_trees

    world = World.random(3)
    trees = [
        t.frozen(i, oracle=True)
        for i, t in enumerate(grow(Mcts(simulations=6), world, scorer=ToyScorer(world.value), runs=3))
    ]
    rows = [row for tree in trees for row in tree.to_rows()]
    assert list(read_trees(rows)) == trees
    assert Tree.from_rows(reversed(trees[0].to_rows())) == trees[0]


def test_the_engine_scores_what_it_draws() -> None:
    """Token by token, from any token on: log-probs of samples are those of `score`, and sum to the path's
    log-probability."""
    world = World.random(6, depth=2)
    [tree] = grow(BestOfN(n=20), world, scorer=ToyScorer(world.value))
    engine = ToyEngine(world)
    for leaf in tree.nodes[1:]:
        for cut in (0, 1, 3, 5):
            prefix = (*tree.prompt_ids, *leaf.token_ids[:cut])
            [scored] = asyncio.run(engine.score(prefix, [leaf.token_ids[cut:]]))
            rest = Request(
                prefix=prefix, sampling=Sampling(max_tokens=30), seeds=(1, 2), prompt_length=len(tree.prompt_ids)
            )
            for sample in asyncio.run(engine.generate(rest)):
                assert asyncio.run(engine.score(prefix, [sample.token_ids])) == [pytest.approx(list(sample.logprobs))]
            assert cut or sum(scored) == pytest.approx(leaf.logprob) == pytest.approx(
                math.log(world.leaves()[path_of(tree, leaf)])
            )
    assert asyncio.run(engine.score(tree.prompt_ids, [[9, 9]])) == [[-math.inf, -math.inf]]


def test_a_search_draws_by_seed_and_path() -> None:
    [one, two] = grow(BestOfN(n=1), COIN, scorer=ToyScorer(lambda path: 0.5), runs=2)
    [other] = grow(BestOfN(n=1), COIN, scorer=ToyScorer(lambda path: 0.5), seed=1)
    numbers = [tree.rng(*path).random() for tree in (one, two, other) for path in (("a", 1), ("a", 2))]
    assert len(set(numbers)) == 6 and one.rng("a", 1).random() == numbers[0]
