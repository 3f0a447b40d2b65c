"""What every search that makes data owes: tokens charged once, counts conserved, trees that do not depend on their
company, dead ends and policies that never end survived."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.base import Request, Sample
from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.scorers import GrantedGold, Tools
from data_gen.scorers.rollouts import Rollouts
from data_gen.search import Expand, Search, SearchTree
from data_gen.search.algorithms.best_first import BestFirst
from data_gen.search.algorithms.iid import Iid
from data_gen.search.algorithms.mcts import Mcts
from data_gen.search.algorithms.mcts_dpo import MctsDpo
from data_gen.search.algorithms.omega import Omega
from data_gen.search.algorithms.rest_mcts import RestMcts
from data_gen.search.algorithms.step_rollouts import StepRollouts
from data_gen.search.algorithms.uct import Uct
from data_gen.search.select import Puct, Ucb
from tests.data_gen.search.algorithms.test_mcts import worlds
from tests.data_gen.search.test_accounting import Counting
from tests.data_gen.search.toy import CODEC, ToyEngine, ToyScorer, ToyTask, World, grow, path_of

THREE = Expand(n=3)
SEARCHES: dict[str, Search] = {
    "mcts": Mcts(simulations=8, wave=2, expand=THREE),
    "mcts_inf": Mcts(
        simulations=8, select=Puct(fpu="inf", prior="draws", normalise="siblings"), backup="max", expand=THREE
    ),
    "mcts_ucb": Mcts(simulations=8, select=Ucb(), backup="visits", scale=Scale.P, expand=THREE),
    "uct": Uct(rollouts=4, expand=THREE),
    "uct_ppm": Uct(rollouts=4, outcomes=False, select=Ucb(value_visits=1), expand=THREE),
    "mcts_dpo": MctsDpo(iterations=3, expand=THREE),
    "rest_mcts": RestMcts(iterations=8, scale=Scale.P, expand=THREE),
    "best_first": BestFirst(expansions=8, wave=2, answers=None, expand=THREE),
    "iid": Iid(n=9),
    "step_rollouts": StepRollouts(n=3, m=4),
    "omega": Omega(searches=4, k=4, wave=2),
}
WORLD = World.random(21, depth=4)
BY_PATH = [name for name in SEARCHES if name not in ("mcts_dpo", "omega")]
"""A visit of a node is one of everything above it. MCTS-DPO moves its root, OmegaPRM has no visits."""


def grown(name: str, world: World = WORLD, **more: Any) -> list[SearchTree]:
    return grow(SEARCHES[name], world, scorer=ToyScorer(world.value), **more)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_token_is_charged_once(name: str) -> None:
    engine = Counting(WORLD)
    [tree] = grown(name, engine=engine)
    assert tree.generated_tokens == engine.usage.generated_tokens
    assert tree.generated_tokens == sum(len(node.token_ids) * node.draws for node in tree.nodes[1:])
    assert tree.scored_tokens == sum(len(node.ids) for node in tree.nodes if node.value is not None)
    assert engine.usage.samples <= SEARCHES[name].draws() and engine.usage.generated_tokens <= SEARCHES[name].tokens()
    assert name == "step_rollouts" or engine.most <= SEARCHES[name].width()


@pytest.mark.parametrize("name", SEARCHES)
def test_tokens_of_real_rollouts_are_charged_once(name: str) -> None:
    engine = Counting(WORLD)
    scorer = Rollouts(m=3).open(Tools(codec=CODEC, gold=GrantedGold(ToyTask(), CODEC)))
    [tree] = grow(SEARCHES[name], WORLD, scorer=scorer, engine=engine)
    assert (
        tree.generated_tokens
        == engine.usage.generated_tokens
        == sum(len(n.token_ids) * n.draws for n in tree.nodes[1:])
    )
    samples, tokens = Rollouts(m=3).draws()
    most = SEARCHES[name].draws()
    assert (
        engine.usage.samples <= most + (most + 1) * samples
        and tree.generated_tokens <= SEARCHES[name].tokens() + (most + 1) * tokens
    )


@pytest.mark.parametrize("name", SEARCHES)
@settings(max_examples=10, deadline=None)
@given(worlds, st.integers(0, 99))
def test_counts_are_conserved(name: str, world: World, seed: int) -> None:
    [tree] = grown(name, world, seed=seed)
    for node in tree.nodes:
        assert name not in BY_PATH or sum(child.visits for child in node.children) <= node.visits
        assert len({child.token_ids for child in node.steps()}) == len(node.steps())
        if name in ("step_rollouts", "omega"):
            leaves = node.rollouts()
            assert (node.mc_correct, node.mc_total) == (sum(leaf.outcome or 0.0 for leaf in leaves), len(leaves))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_tree_does_not_depend_on_its_company(name: str) -> None:
    alone = grown(name, seed=3)[0].frozen(0, oracle=True)
    many = [tree.frozen(0, oracle=True) for tree in grown(name, seed=3, runs=6)]
    assert many[0] == alone and len({str(tree.nodes) for tree in many}) > 1
    assert [tree.frozen(0, oracle=True) for tree in grown(name, seed=3, runs=6, engine=Slow(WORLD))] == many


class Slow(ToyEngine):
    """Answers in another order than it is asked."""

    turn = 0

    async def generate(self, request: Request) -> list[Sample]:
        import asyncio

        self.turn += 1
        for _ in range(self.turn * 7 % 5):
            await asyncio.sleep(0)
        return await super().generate(request)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_policy_that_never_ends_gives_cut_nodes_and_ends_the_search(name: str) -> None:
    """3 steps, 9 tokens and no answer by then: every path ends with `limit`, and the search well before its budget."""
    search, engine = SEARCHES[name].model_copy(update={"max_depth": 3, "max_length": 9}), Counting(WORLD)
    [tree] = grow(search, WORLD, scorer=ToyScorer(WORLD.value), engine=engine)
    assert search.whole or engine.usage.samples <= search.draws()
    assert not any(node.votes for node in tree.nodes)
    ends = [node for node in tree.nodes[1:] if node.terminal]
    assert ends and all((node.terminal, node.outcome) == ("limit", 0.0) for node in ends)


class Mute(ToyEngine):
    """Stops before the first token, as a server may."""

    async def generate(self, request: Request) -> list[Sample]:
        return [Sample(token_ids=(), logprobs=(), finish="stop") for _ in request.seeds]


class Curt(ToyEngine):
    """Ends every solution at once."""

    async def generate(self, request: Request) -> list[Sample]:
        return [Sample(token_ids=(CODEC.end_id,), logprobs=(-1.0,), finish="stop") for _ in request.seeds]


@pytest.mark.parametrize("engine", [Mute, Curt])
@pytest.mark.parametrize("name", SEARCHES)
def test_empty_children_end_a_search_without_an_answer(name: str, engine: type[ToyEngine]) -> None:
    [tree] = grow(SEARCHES[name], WORLD, scorer=ToyScorer(lambda path: 0.5), engine=engine(WORLD))
    assert not any(node.votes for node in tree.nodes) and all(len(node.steps()) <= 1 for node in tree.nodes)
    assert (
        all(node.terminal in ("", "limit", "invalid") for node in tree.nodes)
        and tree.generated_tokens <= SEARCHES[name].tokens()
    )


@pytest.mark.parametrize(
    "name", [name for name in SEARCHES if name not in ("iid", "step_rollouts", "omega", "mcts_dpo")]
)
def test_dead_ends_never_end_a_tree(name: str) -> None:
    """a and b die at once and are valued best; with room enough the only right answer, below c, is found
    nevertheless."""
    world = World(
        {(): {"a": 0.4, "b": 0.4, "c": 0.2}, ("c",): {"a": 0.9, "b": 0.1}},
        {("a",): None, ("b",): None, ("c", "a"): None, ("c", "b"): 1.0},
    )
    more = {
        field: 50
        for field in ("simulations", "rollouts", "iterations", "expansions")
        if field in type(SEARCHES[name]).model_fields
    }
    search = SEARCHES[name].model_copy(update=more)
    [tree] = grow(search, world, scorer=ToyScorer(lambda path: 0.1 if "c" in path else 0.8), cycle=True)
    assert [path_of(tree, node) for node in tree.nodes if node.outcome == 1.0 and node.source == "policy"] == [
        ("c", "b")
    ]
    assert tree.stopped == "exhausted"


@pytest.mark.parametrize("name", SEARCHES)
def test_tokens_are_a_budget(name: str) -> None:
    """Nothing new begins once they are spent; what has begun is finished."""
    search = SEARCHES[name].model_copy(update={"token_budget": 30})
    [tree], [free] = (grow(s, WORLD, scorer=ToyScorer(WORLD.value)) for s in (search, SEARCHES[name]))
    assert name == "iid" or (30 <= tree.generated_tokens < free.generated_tokens and tree.stopped == "budget")


@pytest.mark.parametrize("name", SEARCHES)
def test_problems_that_their_probe_decides_are_left_alone(name: str) -> None:
    sure = World({(): {"a": 0.5, "b": 0.5}}, {("a",): 1.0, ("b",): 1.0})
    search = SEARCHES[name].model_copy(update={"probe": 2})
    [tree] = grow(search, sure, scorer=ToyScorer(sure.value))
    assert tree.stopped == "decided" and search.needs_gold
    ends = [node for node in tree.nodes if node.terminal]
    assert sum(node.draws for node in ends) == 2
    with pytest.raises(UserError, match="set `gold: true`"):
        grow(search, sure, scorer=ToyScorer(sure.value), gold=False)


def test_problems_that_cannot_be_verified_are_never_decided() -> None:
    """Outcomes are unknown, so a probe says nothing; rollouts are kept and not counted."""
    from data_gen.records.problem import Problem
    from data_gen.records.verdict import Answer, Grade, Verdict

    class Blind(ToyTask):
        def grade(self, problem: Problem, answer: Answer) -> Grade:
            return Grade(Verdict.UNVERIFIABLE, "blind")

    for name, expected in (
        ("omega", "exhausted"),
        ("iid", "answered"),
        ("step_rollouts", "answered"),
        ("uct", "exhausted"),
    ):
        search = SEARCHES[name].model_copy(update={"probe": 2} | ({"rollouts": 200} if name == "uct" else {}))
        [tree] = grow(search, WORLD, task=Blind())
        assert tree.stopped == expected and not any(node.mc_total or node.visits for node in tree.nodes)
