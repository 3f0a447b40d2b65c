"""Tags of a problem stand on every row that is made of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from data_gen.labelling.pairs.base import draw_pairs
from data_gen.labelling.pairs.whole import WholePairs
from data_gen.labelling.paths import PathPolicy
from data_gen.labelling.solutions import path_solutions
from data_gen.labelling.steps import in_steps
from data_gen.labelling.targets.outcome import Outcome
from data_gen.labelling.values import value_targets
from data_gen.records.scales import Scale
from data_gen.records.trees import Tree
from data_gen.search.reading import Limits
from data_gen.search.tree import SearchTree
from reasoning_train.stages.gold import gold_solution
from tests.data_gen.labelling.plant import CODEC, answer, plant, step
from tests.data_gen.test_solve import PROBLEM, TASK, ids, solved

TAGS = {"subject": "algebra", "level": "3"}


def test_rows_of_a_tree_have_its_tags() -> None:
    tree = in_steps(replace(plant(step("a", answer(1)), step("b", answer(0))), tags=TAGS), CODEC)
    assert Tree.from_rows(tree.to_rows()) == tree
    [pair] = draw_pairs(WholePairs(), tree, Random(0), None)[0]
    paths = PathPolicy(wrong=1).choose([tree], Random(0), whole=True)[0]
    targets = value_targets(paths, Outcome(), multiplicity="paths")
    rows = [pair, *targets, *path_solutions(paths, CODEC)]
    assert len(rows) == 5 and all(row.tags == TAGS for row in rows)


def test_solutions_and_trees_have_the_tags_of_their_problem() -> None:
    problem = replace(PROBLEM, tags=TAGS)
    [solution] = solved(ids("12 + 8 = 20\nAnswer: 20"), problem=problem)
    grown = SearchTree(problem, None, CODEC, Limits(max_depth=1, max_length=9), Scale.P)  # type: ignore[arg-type]
    assert grown.frozen(0, oracle=False).tags == TAGS
    assert solution.tags == gold_solution(problem, "20", TASK).tags == TAGS
