"""First errors: found by each judge, drawn anew, and set against corrected steps, on a world where all of it is
known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.base import Sample
from data_gen.errors import UserError
from data_gen.labelling.pairs.first_error import FirstErrorPairs as Rule
from data_gen.labelling.reach import View
from data_gen.labelling.steps import in_steps
from data_gen.scorers.base import GrantedGold
from data_gen.search.algorithms.first_error import FirstError
from data_gen.search.tree import SearchTree
from tests.data_gen.search.algorithms.test_mcts import worlds
from tests.data_gen.search.toy import CODEC, TOKENIZER, ToyScorer, ToyTask, World, grow, path_of, problem

WORLD = World(
    {(): {"a": 0.5, "b": 0.5}, ("a",): {"c": 0.5, "d": 0.5}, ("b",): {"c": 1.0}},
    {("a", "c"): 1.0, ("a", "d"): 0.0, ("b", "c"): 0.0},
)
"""b is wrong, and so is d after a; nothing else."""
WRONG = ("b", "d")
TASK = ToyTask(wrong=WRONG)
JUDGE = ToyScorer(lambda path: float(not set(path) & set(WRONG)))


def pairs(tree: SearchTree, judge: str, task: ToyTask = TASK) -> set[tuple[str, str]]:
    """(chosen, rejected) of all pairs of a tree that is graded as the stage does."""
    gold = GrantedGold(task, CODEC)
    for node in tree.nodes[1:]:
        node.steps_ok = gold.steps_ok(tree.problem, tree.steps(node)[0], ended=bool(node.terminal))
    view = View(in_steps(tree.frozen(0, oracle=True), CODEC))
    found = Rule(judge=judge, per_error=9).pairs(view, random.Random(0))  # type: ignore[arg-type]
    return {(pair.chosen.strip(), pair.rejected.strip()) for pair in found}


def test_a_trace_by_hand() -> None:
    """Solutions in turn: a c, right, and b c, wrong. With `mc` two rollouts each of b and of c below it end wrong
    (tokens 6 + 6, 4 + 4), so b is the first error; of four completions of the question, a c and b c in turn, two are
    right, and their first step is a again."""
    solved = [("a\n", 1, 0, 0, ""), ("a\nc\n", 1, 0, 0, ""), ("a\nc\nAnswer: 1", 1, 0, 0, "answer")]
    solved += [("b\n", 1, 0, 2, ""), ("b\nc\n", 1, 0, 2, ""), ("b\nc\nAnswer: 0", 1, 0, 0, "answer")]
    search = FirstError(samples=2, corrections=4, judge="mc", k=2)
    [tree] = grow(search, WORLD, task=TASK, cycle=True)
    steps = [node for node in tree.nodes[1:] if node.source != "rollout"]
    assert [(node.solution, node.draws, node.mc_correct, node.mc_total, node.terminal) for node in steps] == solved
    assert [(path_of(tree, node)[0], node.outcome) for node in tree.root.rollouts()] == [
        ("a", 1),
        ("b", 0),
        ("a", 1),
        ("b", 0),
    ]
    assert (tree.root.mc_correct, tree.root.mc_total) == (
        2,
        4,
    ) and tree.generated_tokens == 2 * 8 + 2 * 6 + 2 * 4 + 4 * 8


@pytest.mark.parametrize(("judge", "first", "second"), [("oracle", 0.3, 0.28), ("mc", 0.3 + 0.28 * 0.4, 0.28 * 0.6)])
def test_errors_stand_where_their_probabilities_say(judge: str, first: float, second: float) -> None:
    """One solution of b .3, a .7 and then d .4. One rollout of a blames it, though it is right, with probability .4.
    800 trees, within 4 standard errors; so are the right completions of the question (.42) and of a (.6, where no
    rollout chose it)."""
    world = World({(): {"a": 0.7, "b": 0.3}, ("a",): {"c": 0.6, "d": 0.4}, ("b",): {"c": 1.0}}, WORLD.right)
    search = FirstError(samples=1, corrections=4, judge=judge, k=1)  # type: ignore[arg-type]
    parents: dict[tuple[str, ...], list[float]] = {(): [], ("a",): []}
    for tree in grow(search, world, task=TASK, runs=800, seed=5):
        for node in tree.nodes:
            if len(node.rollouts()) == 4:
                parents[path_of(tree, node)].append(node.mc_correct)
    for path, expected in (((), first), (("a",), second)):
        assert abs(len(parents[path]) / 800 - expected) < 4 * math.sqrt(expected * (1 - expected) / 800)
        right, n = world.value(path), 4 * len(parents[path])
        assert judge == "mc" or abs(sum(parents[path]) / n - right) < 4 * math.sqrt(right * (1 - right) / n)


@pytest.mark.parametrize("judge", ["oracle", "mc", "scorer"])
def test_each_judge_finds_the_wrong_steps_and_their_corrections(judge: str) -> None:
    """Of 12 samples both errors occur but in 2 * (3/4)^12 of the runs, and 12 completions each mend them but in
    (3/4)^12."""
    search = FirstError(samples=12, errors=12, corrections=12, judge=judge, k=8)  # type: ignore[arg-type]
    [tree] = grow(search, WORLD, scorer=JUDGE, task=TASK, seed=3)
    assert pairs(tree, judge) == {("a", "b"), ("c", "d")}
    rolled = {path_of(tree, node) for node in tree.nodes if node.rollouts()}
    assert rolled == ({(), ("a",)} if judge != "mc" else {(), ("a",), ("b",), ("a", "d"), ("b", "c")})


def reference(world: World, wrong: set[str], samples: int, corrections: int) -> set[tuple[str, str]]:
    """(corrected step, first wrong step) of the first wrong solution, without trees or engines. The i-th draw takes the
    i-th line at every place; the exact checker judges."""

    def draw(start: list[str], i: int) -> list[str]:
        steps = list(start)
        while not steps or not steps[-1].startswith("Answer"):
            lines = [line.strip() for line, _ in world.lines(tuple(steps))]
            steps.append(lines[i % len(lines)])
        return steps

    solutions = [draw([], i) for i in range(samples)]
    failed = next((steps for steps in solutions if steps[-1] == "Answer: 0"), None)
    if failed is None:
        return set()
    at = next(i for i, step in enumerate(failed) if step in wrong or step == "Answer: 0")
    known = [*solutions, *(draw(failed[:at], i) for i in range(corrections))]
    fixes = {steps[at] for steps in known if steps[:at] == failed[:at] and steps[-1] == "Answer: 1"}
    return {(fix, failed[at]) for fix in fixes if fix not in wrong}


@settings(max_examples=60, deadline=None)
@given(worlds, st.sets(st.sampled_from("abc")), st.integers(1, 4), st.integers(1, 6))
def test_pairs_are_those_of_the_algorithm_without_trees_or_engines(
    world: World, wrong: set[str], samples: int, corrections: int
) -> None:
    task = ToyTask(wrong=tuple(sorted(wrong)))
    search = FirstError(samples=samples, errors=1, corrections=corrections)
    [tree] = grow(search, world, task=task, cycle=True)
    expected = reference(world, wrong, samples, corrections)
    assert {pair for pair in pairs(tree, "oracle", task) if pair[1] in {e for _, e in expected}} == expected


def test_only_so_many_wrong_solutions_are_mended() -> None:
    [tree] = grow(FirstError(samples=12, errors=1, corrections=5), WORLD, task=TASK, seed=3)
    [parent] = [node for node in tree.nodes if node.rollouts()]
    assert len(parent.rollouts()) == 5 == parent.mc_total


def test_nothing_is_drawn_anew_where_all_is_right() -> None:
    world = World({(): {"a": 1.0}}, {("a",): 1.0})
    [tree] = grow(FirstError(samples=4), world, task=TASK)
    assert (tree.stopped, sum(len(node.rollouts()) for node in tree.nodes)) == ("decided", 0)


def test_a_wrong_answer_after_right_steps_is_the_error() -> None:
    world = World({(): {"a": 1.0}}, {("a",): 0.5})
    [tree] = grow(FirstError(samples=8, corrections=8), world, task=TASK)
    assert pairs(tree, "oracle") == {("Answer: 1", "Answer: 0")}


def test_an_oracle_needs_a_step_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyTask, "check_steps", lambda self, problem, steps: None)
    with pytest.raises(UserError, match=r"search.judge: 'oracle' needs a task that can check steps .* Use `judge: mc`"):
        grow(FirstError(samples=12), WORLD)


def test_a_scorer_as_judge_must_be_there() -> None:
    with pytest.raises(UserError, match="needs a scorer"):
        grow(FirstError(samples=12, judge="scorer"), WORLD)


def test_given_solutions_come_first_and_cost_what_they_cost() -> None:
    """Two given ones and one that is drawn: a budget of three."""

    def sample(text: str) -> Sample:
        ids = (*TOKENIZER(text, add_special_tokens=False)["input_ids"], CODEC.end_id)
        return Sample(token_ids=ids, logprobs=(), finish="stop")

    given = [sample("b\nc\nAnswer: 0"), sample("b\nc\nAnswer: 0")]
    [tree] = grow(FirstError(samples=3, errors=1, corrections=4), WORLD, task=TASK, given=given)
    [alone] = grow(FirstError(samples=1, errors=1, corrections=4), WORLD, task=TASK)
    first = tree.nodes[1]
    assert (path_of(tree, first), first.draws >= 2, first.logprob) == (("b",), True, None)
    ends = [node for node in tree.nodes if node.terminal and node.source == "policy"]
    assert sum(node.draws for node in ends) == 3
    drawn = sum(len(node.token_ids) * node.draws for node in tree.nodes[1:] if node.source != "replayed")
    assert tree.generated_tokens == drawn
    assert alone.generated_tokens > 0
    assert tree.problem == problem("p0")
