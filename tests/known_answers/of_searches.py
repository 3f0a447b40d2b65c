"""Searches at their defaults, or near them, on the toy world; and the parts that they are made of."""

from __future__ import annotations

import math
import random
from typing import Any

from data_gen.records.scales import Scale
from data_gen.search import SEARCHES, Expand
from data_gen.search.expand import same_step
from data_gen.search.node import Node
from data_gen.search.potentials import Potential
from data_gen.search.resample import Resample
from tests.data_gen.search.toy import ToyScorer, ToyTask, World, grow, letters_of
from tests.known_answers.cases import Settings, case

WORLD, DEEP = World.random(3, right=0.5), World.random(3, depth=4, right=0.5)
SETTINGS: dict[str, dict[str, Any]] = {
    "beam": {"beams": 2},
    "best_first": {"expansions": 6, "answers": 2},
    "best_of_n": {"n": 5},
    "dvts": {"subtrees": 2},
    "first_error": {"samples": 2, "errors": 2, "corrections": 4},
    "iid": {"n": 6},
    "mcts": {"simulations": 12},
    "mcts_dpo": {"iterations": 4},
    "omega": {"searches": 4, "k": 6},
    "particle": {"n": 5},
    "particle_gibbs": {"n": 4},
    "rebase": {"n": 5},
    "rest_mcts": {"iterations": 8},
    "step_rollouts": {"n": 2, "m": 4},
    "svdd": {"n": 3},
    "uct": {"rollouts": 8, "select": {"uses": "ucb", "fpu": "inf"}},
}
"""Budgets small enough to read what comes out."""

MORE: dict[str, list[dict[str, Any]]] = {
    "beam": [{"beams": 1, "lookahead": 1}],
    "best_first": [{"wave": 2, "answers": None}],
    "best_of_n": [{"per_step": True}],
    "dvts": [{"subtrees": 3, "lookahead": 1}],
    "first_error": [{"judge": "mc", "k": 4}, {"judge": "scorer"}],
    "iid": [{"probe": 3}, {"n": 8, "probe": 6}],
    "mcts": [
        {"backup": "max"},
        {"backup": "visits"},
        {"select": {"uses": "puct", "prior": "draws", "value_visits": 2.0}},
        {"select": {"uses": "puct", "prior": "length_penalised", "normalise": "siblings"}},
        {"select": {"uses": "puct", "prior": "prob", "fpu": "parent"}},
        {"wave": 3, "outcome_weight": 0.5, "scale": "p", "select": {"uses": "puct", "fpu": "half", "c": 0.625}},
    ],
    "mcts_dpo": [{"gamma": 0.5, "horizon": 1, "outcome_weight": 0.5}],
    "omega": [{"searches": 2, "wave": 2, "k": 6, "alpha": 1.0, "c": 0.0}],
    "particle": [
        {"resample": {"ess": 0.5}},
        {"resample": {"ess": 0.5, "carry": False}},
        {"potential": {"kind": "difference", "reward": "p", "lam": 5.0}},
    ],
    "particle_gibbs": [
        {"iterations": 3, "burn_in": 1},
        {"potential": {"kind": "difference"}},
        {"n": 8, "potential": {"kind": "difference"}, "ancestors": True},
    ],
    "rebase": [{"temperature": 2.0}],
    "rest_mcts": [{"mix": 0.25}, {"mix": 0.25, "roll_width": 2, "stop_at": None}],
    "step_rollouts": [{"probe": 1}, {"n": 8, "m": 2, "probe": 6}],
    "svdd": [{"alpha": 0.0}, {"value": "soft", "alpha": 0.2}, {"alpha": 0.5, "resample": True}, {"alpha": 5.0}],
    "uct": [
        {"backup": "max"},
        {"outcomes": False, "select": {"uses": "ucb", "c": 2.0, "k": 1.0, "fpu": "zero", "value_visits": 1.0}},
    ],
}
"""Further settings, under which a search does what the first ones do not show."""


@case("search", *SETTINGS)
def trees(name: str) -> list[Any]:
    """The tree under every setting."""
    return Settings(tree(name, {**SETTINGS[name], **more}) for more in ({}, *MORE.get(name, ())))


def tree(name: str, settings: dict[str, Any]) -> list[Any]:
    """The tree over a world of random probabilities, with values that are right but for their distance to 0 and 1."""
    search = SEARCHES.get(name).model_validate({"uses": name, **settings})
    world = DEEP if name == "uct" else WORLD
    scale = search.scale if search.scale is Scale.PROGRESS else Scale.P
    scorer = ToyScorer(lambda path: 0.1 + 0.8 * world.value(path), scale)
    [grown] = grow(search, world, scorer=scorer, gold=search.needs_gold, seed=1, task=ToyTask(wrong=("b",)))
    return [grown.stopped, *(_node(node) for node in grown.nodes)]


def _node(node: Node) -> list[Any]:
    path = "".join(letters_of(node.solution)) + (f"={node.answer}" if node.answer else "")
    backed_up = [node.visits, node.total, node.prior, node.reward]
    return [path, node.source, node.draws, *backed_up, node.mc_correct, node.mc_total, node.votes, node.weight]


@case("part", "Expand")
def expand() -> Any:
    """What a step may be, and which steps are one."""
    ways = [Expand(segment=segment, max_tokens=7) for segment in ("step", "tokens", "solution")]
    sampled = [how.sampling("\n", room) for how in ways for room in (5, 9)]
    texts = ["a b c d e", "a b c d e f", "x"]
    nodes = [Node(id=i, parent=None, token_ids=(i,), text=text) for i, text in enumerate(texts)]
    alike = [same_step(Expand(dedupe="near", near=0.7), a, b) for a in nodes for b in nodes]
    return [[[s.max_tokens, s.temperature, s.top_p, list(s.stop)] for s in sampled], alike]


@case("part", "Potential")
def potential() -> Any:
    """log G_1..G_t of a path of three steps, by kind, and the four rewards of one value."""
    kinds = ("absolute", "current", "difference", "max", "sum", "final")
    gathered = {
        kind: [Potential(kind=kind, lam=2.0).gathered([0.2, 0.5, 0.4], ended=ended) for ended in (False, True)]
        for kind in kinds
    }
    rewards = {
        reward: [Potential(reward=reward).reward_of(value, Scale.P) for value in (0.0, 0.7)]
        for reward in ("p", "signed", "log_p", "odds")
    }
    return {"gathered": gathered, "rewards": rewards}


@case("part", "Resample")
def resample() -> Any:
    """Ancestors by both schemes, and when weights ask for them."""
    weights = [math.log(w) for w in (0.5, 0.1, 0.25, 0.15)]
    drawn = {
        scheme: [Resample(scheme=scheme).ancestors(weights, random.Random(seed)) for seed in range(4)]
        for scheme in ("systematic", "multinomial")
    }
    return {**drawn, "due": [Resample(ess=ess).due(weights) for ess in (1.0, 0.8, 0.5, 0.0)]}
