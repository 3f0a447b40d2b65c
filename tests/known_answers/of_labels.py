"""Pair rules and target rules on one tree by hand, with every kind of node that they tell apart."""

from __future__ import annotations

import random
from typing import Any

from data_gen.labelling.pairs.base import PAIR_RULES
from data_gen.labelling.paths import PathPolicy
from data_gen.labelling.reach import View
from data_gen.labelling.steps import in_steps
from data_gen.labelling.targets.base import TARGET_RULES
from data_gen.labelling.values import value_targets
from data_gen.records.labels import StepPair, ValueTarget
from data_gen.records.trees import Tree
from tests.data_gen.labelling.plant import CODEC, answer, cut, plant, rollout, step
from tests.known_answers.cases import Settings, case

JUDGED = {"mc_correct": 3.0, "mc_total": 4.0, "value": 0.8, "steps_ok": True}
WRONG = {"mc_correct": 0.0, "mc_total": 4.0, "value": 0.3, "steps_ok": False}


def tree(scale: str = "p") -> Tree:
    """a: right in 3 of 4 rollouts, with a chain to a right answer, a wrong answer, a rollout and a wrong step; b: wrong
    from its first step on, with a wrong answer and one that is right by chance; c: its end cannot be verified; a wrong
    answer at once; what a limit cut."""
    right = answer(1, visits=2, total=2.0, votes=1, weight=1.0, steps_ok=True)
    a = (
        step("d", right, visits=2, total=2.0, **{**JUDGED, "mc_correct": 4.0}),
        answer(0, visits=1, total=0.0, steps_ok=True),
        rollout("c", 1),
    )
    late = step("b", answer(0, steps_ok=False), visits=1, total=0.0, **WRONG)
    b = (
        step("a", answer(0, visits=1, total=0.1, steps_ok=False), visits=1, total=0.1, **WRONG),
        answer(1, visits=1, total=0.4, steps_ok=False),
    )
    unknown = answer("x", None, visits=1, total=0.2)
    return plant(
        step("a", *a, late, visits=6, total=4.5, **JUDGED),
        step("b", *b, visits=2, total=0.5, **WRONG),
        step("c", unknown, visits=1, total=0.2, mc_total=0.0, value=0.5),
        answer(0, visits=3, total=0.6, draws=3, steps_ok=True),
        cut("e f", visits=1, total=0.3),
        visits=12,
        total=6.0,
        value=0.5,
        mc_correct=3.0,
        mc_total=8.0,
        scale=scale,
    )


def _pair(pair: StepPair) -> list[Any]:
    scores = [pair.score_chosen, pair.score_rejected, pair.label_smoothing, pair.weight]
    return [list(pair.prefix_nodes), pair.chosen, pair.rejected, *scores, pair.granularity, pair.end_mark]


PAIRS: dict[str, list[dict[str, Any]]] = {
    "best_sibling": [
        {},
        {"rejected": "random"},
        {"smoothing": "visits"},
        {"along": "answer"},
        {"chains": True},
        {"value": "scorer"},
        {"value": "reach"},
    ],
    "first_error": [{}, {"judge": "mc"}, {"judge": "scorer"}, {"judge": "mc", "per_error": 2}],
    "margin": [{}, {"margin": 0.9}, {"value": "q"}],
    "top_bottom": [
        {"min_edit": 0},
        {"min_edit": 0, "k": 1, "against_one": 1},
        {"min_edit": 0, "margin": 1.5},
        {"min_edit": 3},
    ],
    "whole": [{}, {"match": "perplexity"}],
}
"""Settings under which a rule does what others of it do not."""


@case("pair rule", *PAIRS)
def pairs(name: str) -> list[Any]:
    """The pairs of the tree under each setting."""
    rules = [PAIR_RULES.get(name).model_validate({"uses": name, **more}) for more in PAIRS[name]]
    seen = View(in_steps(tree(), CODEC))
    return Settings([_pair(pair) for pair in rule.pairs(seen, random.Random(2))] for rule in rules)


def _target(row: ValueTarget) -> list[Any]:
    counts = [list(row.correct), list(row.total)]
    return ["".join(row.completions), list(row.at), list(row.values), list(row.labels), list(row.n_eff), *counts]


TARGETS: dict[str, list[dict[str, Any]]] = {
    "exact_steps": [{}, {"scale": "signed"}],
    "mc": [{}, {"label": "hard"}, {"min_n": 5}],
    "outcome": [{}, {"level": "last"}],
    "prefix_ratio": [{}, {"level": "steps", "root": True}],
    "progress": [{}],
    "q": [{"scale": "p", "root": True}, {}, {"min_n": 3}],
}


@case("target rule", *TARGETS)
def targets(name: str) -> list[Any]:
    """The targets along all paths of the tree."""
    seen = in_steps(tree(), CODEC)
    paths, _ = PathPolicy(correct=None, wrong=None).choose([seen], random.Random(0), whole=False)
    rules = [TARGET_RULES.get(name).model_validate({"uses": name, **more}) for more in TARGETS[name]]
    return Settings([_target(row) for row in value_targets(paths, rule, multiplicity="unique")] for rule in rules)


@case("part", "PathPolicy")
def paths() -> list[Any]:
    """Which paths are taken, and what is dropped for which reason."""
    settings: list[dict[str, Any]] = [
        {},
        {"correct": 1, "wrong": 1, "rank": "mean_q"},
        {"correct": None, "wrong": None, "steps": "right", "dedupe": "near"},
    ]
    found = [
        PathPolicy(**more).choose([in_steps(tree(), CODEC)], random.Random(0), whole=True) for more in settings
    ]  # fmt: skip
    return Settings([[path.text for path in chosen], dict(sorted(dropped.items()))] for chosen, dropped in found)
