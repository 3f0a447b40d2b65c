"""What every test-time search owes: tokens conserved, estimates that hold, one vote in all, trees that do not depend on
their company."""

from __future__ import annotations

import pytest

from data_gen.engines.base import Request, Sample
from data_gen.search import Expand, Search
from data_gen.search.algorithms.beam import Beam
from data_gen.search.algorithms.best_of_n import BestOfN
from data_gen.search.algorithms.dvts import Dvts
from data_gen.search.algorithms.particle import Particle
from data_gen.search.algorithms.particle_gibbs import ParticleGibbs
from data_gen.search.algorithms.rebase import Rebase
from data_gen.search.algorithms.svdd import Svdd
from data_gen.search.potentials import Potential
from data_gen.search.resample import Resample
from tests.data_gen.search.toy import ToyEngine, ToyScorer, World, grow

THREE, SHORT = Expand(n=3), {"max_depth": 6}
SEARCHES: dict[str, Search] = {
    "best_of_n": BestOfN(n=9),
    "per_step": BestOfN(n=9, per_step=True),
    "beam": Beam(beams=3, expand=THREE, **SHORT),
    "lookahead": Beam(beams=3, expand=THREE, lookahead=2, **SHORT),
    "dvts": Dvts(subtrees=3, expand=THREE, **SHORT),
    "rebase": Rebase(n=9, **SHORT),
    "particle": Particle(n=9, **SHORT),
    "feynman_kac": Particle(
        n=9, potential=Potential(kind="difference", reward="p", lam=5), resample=Resample(ess=0.5), **SHORT
    ),
    "gibbs": ParticleGibbs(n=9, iterations=2, **SHORT),
    "ancestors": ParticleGibbs(n=9, iterations=3, ancestors=True, potential=Potential(kind="max"), **SHORT),
    "svdd": Svdd(n=3, expand=THREE, **SHORT),
    "svdd_r": Svdd(n=3, resample=True, expand=THREE, **SHORT),
}
WORLD = World.random(21, depth=4)


class Counting(ToyEngine):
    """Knows how many samples were asked for in one turn of the event loop, at most."""

    under_way = most = 0

    async def generate(self, request: Request) -> list[Sample]:
        self.under_way += len(request.seeds)
        self.most = max(self.most, self.under_way)
        samples = await super().generate(request)
        self.under_way -= len(request.seeds)
        return samples


@pytest.mark.parametrize("name", SEARCHES)
def test_every_token_is_charged_once(name: str) -> None:
    search, engine, scorer = SEARCHES[name], Counting(WORLD), ToyScorer(WORLD.value)
    [tree] = grow(search, WORLD, scorer=scorer, gold=False, engine=engine)
    assert tree.generated_tokens == engine.usage.generated_tokens
    assert tree.requests == engine.usage.samples > 0
    assert tree.generated_tokens == sum(len(node.token_ids) * node.draws for node in tree.nodes[1:])
    read = sum(len(node.ids) for node in tree.nodes if node.value is not None)
    assert tree.scored_tokens == read if name not in ("lookahead", "ancestors") else tree.scored_tokens > 0
    assert engine.usage.samples <= search.draws() and engine.most <= search.width()


@pytest.mark.parametrize("name", SEARCHES)
def test_the_vote_is_one_and_on_answers_only(name: str) -> None:
    for tree in grow(SEARCHES[name], WORLD, scorer=ToyScorer(WORLD.value), gold=False, runs=5):
        voters = [node for node in tree.nodes if node.votes]
        assert voters and all(node.terminal == "answer" for node in voters)
        assert sum(node.weight for node in voters) == pytest.approx(1) and tree.stopped == "answered"
        assert all(node.weight >= 0 for node in tree.nodes) and not any(
            node.weight for node in tree.nodes if not node.votes
        )


@pytest.mark.parametrize("name", SEARCHES)
def test_a_tree_does_not_depend_on_its_company(name: str) -> None:
    search = SEARCHES[name]
    alone = grow(search, WORLD, scorer=ToyScorer(WORLD.value), seed=3)[0].frozen(0, oracle=False)
    many = [tree.frozen(0, oracle=False) for tree in grow(search, WORLD, scorer=ToyScorer(WORLD.value), seed=3, runs=6)]
    assert many[0] == alone and len({str(tree.nodes) for tree in many}) > 1


@pytest.mark.parametrize("name", SEARCHES)
def test_a_policy_that_never_ends_ends_the_search(name: str) -> None:
    """No answer within 4 steps and 9 tokens: no vote, and no more than the estimate."""
    search = type(SEARCHES[name]).model_validate(
        {**SEARCHES[name].model_dump(exclude_unset=True), "max_depth": 4, "max_length": 9}
    )
    engine = Counting(WORLD)
    [tree] = grow(search, WORLD, scorer=ToyScorer(WORLD.value), gold=False, engine=engine)
    assert not any(node.votes for node in tree.nodes) and engine.usage.samples <= search.draws()
    assert all(node.terminal == "limit" for node in tree.nodes if not node.children and node.depth == 4)


@pytest.mark.parametrize("name", [name for name in SEARCHES if name not in ("ancestors", "gibbs")])
def test_one_path_and_one_candidate_are_one_sample(name: str) -> None:
    ones = {field: 1 for field in ("n", "beams", "subtrees") if field in type(SEARCHES[name]).model_fields}
    more = {"expand": Expand(n=1)} if not SEARCHES[name].one_draw else {}
    search = type(SEARCHES[name]).model_validate({**SEARCHES[name].model_dump(exclude_unset=True), **ones, **more})
    [tree] = grow(search, WORLD, scorer=ToyScorer(WORLD.value), gold=False)
    [leaf] = [node for node in tree.nodes if node.votes]
    assert leaf.weight == 1 and [node for node in tree.nodes[1:] if node.source == "policy"] == leaf.path()
