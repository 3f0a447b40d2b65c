"""Target builders on trees whose values were worked out by hand."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.labelling.paths import PathPolicy
from data_gen.labelling.reach import View
from data_gen.labelling.steps import in_steps
from data_gen.labelling.targets.base import TargetRule
from data_gen.labelling.targets.exact_steps import StepTargets
from data_gen.labelling.targets.mc import MonteCarlo
from data_gen.labelling.targets.outcome import Outcome
from data_gen.labelling.targets.prefix_ratio import PrefixRatio
from data_gen.labelling.targets.progress import Progress
from data_gen.labelling.targets.tree_q import TreeQ
from data_gen.labelling.values import value_targets
from data_gen.records.labels import ValueTarget
from data_gen.records.trees import Tree
from tests.data_gen.labelling.plant import CODEC, END, answer, cut, ids_of, plant, rollout, step, trees

ALL = PathPolicy(correct=None, wrong=None)


def rows_of(rule: TargetRule, *given: Tree, policy: PathPolicy = ALL, **more: Any) -> list[ValueTarget]:
    seen = [in_steps(tree, CODEC) for tree in given]
    paths, _ = policy.choose(seen, random.Random(0), whole=False)
    return value_targets(paths, rule, **{"multiplicity": "paths", **more})


def by_text(rows: list[ValueTarget]) -> dict[str, tuple[float, ...]]:
    return {"".join(row.completions).replace("\n", " "): row.values for row in rows}


TREE = plant(
    step("a", answer(1), answer(0), visits=4, total=1.0),
    step("b", answer(0, visits=2, total=-2.0), visits=2, total=-1.0),
    scale="signed",
    visits=6,
    total=0.0,
)


def test_rows_say_where_steps_end() -> None:
    [first, *_] = rows_of(Outcome(), TREE)
    assert first.completions == ("a\n", "Answer: 1")
    assert (first.token_ids, first.ends, first.nodes) == (ids_of("a\nAnswer: 1", end=True), (1, 5), (1, 2))
    assert (first.prompt, first.prompt_ids, first.tree, first.outcome, first.group) == (
        "go\n",
        tuple(CODEC.prompt_ids("go")),
        0,
        1.0,
        "p",
    )


def test_outcomes_of_whole_paths() -> None:
    assert by_text(rows_of(Outcome(), TREE)) == {
        "a Answer: 1": (1.0, 1.0),
        "a Answer: 0": (0.0, 0.0),
        "b Answer: 0": (0.0, 0.0),
    }
    last, *_ = rows_of(Outcome(level="last", scale="signed"), TREE)
    assert (last.at, last.values, last.labels, last.scale) == ((5,), (1.0,), (None, True), "signed")
    every, *_ = rows_of(Outcome(level="tokens"), TREE)
    assert (every.at, every.values) == (tuple(range(6)), (1.0,) * 6)


def test_tree_q_and_exactly_right_or_wrong_at_the_end() -> None:
    """AlphaMath: Q of the edge, 1/4 and -1/2; an answer is worth its outcome, whatever was backed up."""
    rows = rows_of(TreeQ(root=True), TREE)
    assert by_text(rows) == {
        "a Answer: 1": (0.0, 0.25, 1.0),
        "a Answer: 0": (0.0, 0.25, -1.0),
        "b Answer: 0": (0.0, -0.5, -1.0),
    }
    assert rows[0].at == (-1, 1, 5)
    assert rows[0].n_eff == (6.0, 4.0, 1.0) and rows[2].n_eff == (6.0, 2.0, 2.0)
    assert [row.labels for row in rows] == [(True, True), (True, False), (False, False)]
    assert rows[0].correct == rows[0].total == ()
    assert by_text(rows_of(TreeQ(scale="p"), TREE))["a Answer: 1"] == (0.625, 1.0)


def test_few_visits_are_no_target() -> None:
    assert by_text(rows_of(TreeQ(min_n=3), TREE))["b Answer: 0"] == (-1.0,)


def test_q_on_a_scale_that_is_no_probability_is_refused() -> None:
    for scale in ("ranking", "progress"):
        with pytest.raises(UserError, match=f"'{scale}' cannot be read as 'signed'"):
            rows_of(TreeQ(), plant(step("a", answer(1), visits=1, total=0.5), scale=scale))


ROLLED = plant(
    step("a", answer(1), rollout("c", 0), rollout("", 1), mc_correct=1.0, mc_total=2.0),
    step("b", answer(0), mc_correct=0.0, mc_total=8.0),
    rollout("ab", 1),
    mc_correct=1.0,
    mc_total=1.0,
)
"""Two rollouts of a, of which one runs through c; eight of b (not kept); one of the root, which runs through a and
another b."""


def test_rollouts_soft_and_hard_with_their_counts() -> None:
    """a: 1 of 2 of its own, the one that ran through is not mixed in. c: the one that ran through, 0/1; likewise the b
    below a, 1/1."""
    soft, hard = (by_text(rows_of(MonteCarlo(label=label), ROLLED)) for label in ("soft", "hard"))
    assert soft == {
        "a Answer: 1": (0.5, 1.0),
        "a c Answer: 0": (0.5, 0.0, 0.0),
        "b Answer: 0": (0.0, 0.0),
        "a b Answer: 1": (0.5, 1.0, 1.0),
    }
    assert hard["a c Answer: 0"] == (1.0, 0.0, 0.0)
    row = next(row for row in rows_of(MonteCarlo(label="hard"), ROLLED) if row.completions[1] == "c\n")
    assert (row.correct, row.total, row.n_eff, row.labels) == (
        (1.0, 0.0, 0.0),
        (2.0, 1.0, 1.0),
        (2.0, 1.0, 1.0),
        (True, False, False),
    )


def test_steps_with_few_rollouts_have_no_target() -> None:
    row = next(row for row in rows_of(MonteCarlo(min_n=2, root=True), ROLLED) if row.completions[1] == "c\n")
    assert (row.at, row.labels) == ((1, 7), (True, None, False))


CHECKED = plant(
    step("a", answer(1, steps_ok=True), answer(0, steps_ok=True), steps_ok=True),
    step("b", answer(1, steps_ok=False), steps_ok=False),
)
"""A right step with a right and a wrong answer; a wrong step that is made up for."""


def test_what_the_step_checker_said() -> None:
    """An answer that is right by luck does not mend a wrong step, and a right step is right whatever follows."""
    assert by_text(rows_of(StepTargets(), CHECKED)) == {
        "a Answer: 1": (1.0, 1.0),
        "a Answer: 0": (1.0, 0.0),
        "b Answer: 1": (0.0, 0.0),
    }
    assert by_text(rows_of(StepTargets(scale="signed"), CHECKED))["a Answer: 0"] == (1.0, -1.0)
    row = next(row for row in rows_of(StepTargets(), CHECKED) if row.completions == ("a\n", "Answer: 0"))
    assert (row.labels, row.n_eff) == ((True, False), (1.0, 1.0))


def test_steps_that_nobody_checked_have_no_exact_labels() -> None:
    """Nor those of rollouts: of a wrong one only its end is known, of a right one every step."""
    assert rows_of(StepTargets(), TREE) == []
    rolled = plant(
        step(
            "a",
            rollout("b", 1, steps_ok=True),
            rollout("c", 0, steps_ok=False),
            answer(1, steps_ok=True),
            steps_ok=True,
        )
    )
    assert {
        text: values for text, values in by_text(rows_of(StepTargets(), rolled)).items() if "b" in text or "c" in text
    } == {
        "a b Answer: 1": (1.0,),
        "a c Answer: 0": (1.0,),
    }


SAMPLES = plant(rollout("ab", 1), rollout("ab", 1), rollout("ac", 0), rollout("d", 0), rollout("d", "a", None))
"""Five samples of a problem, of which four can be verified: 2 of 4 are right, 2 of the 3 that begin with a."""


def test_prefix_ratios_at_every_token() -> None:
    rows = rows_of(PrefixRatio(root=True), SAMPLES)
    right = next(row for row in rows if row.outcome == 1.0)
    #                      root, a  \n | b  \n | Answer : 1 end
    assert right.values == (0.5, 2 / 3, 2 / 3, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert (right.at, right.correct[:3], right.total[:3]) == (tuple(range(-1, 8)), (2.0, 2.0, 2.0), (4.0, 3.0, 3.0))
    assert by_text(rows)["d Answer: 0"] == (0.5, *[0.0] * 6)  # the unverifiable one is not counted


def test_prefix_ratios_inside_a_step_that_others_begin_like() -> None:
    """`a b` and `a c` share their first token: 1/2 there, and each its own from the second on."""
    rows = by_text(rows_of(PrefixRatio(), plant(rollout("", 1), step("a b", answer(1)), step("a c", answer(0)))))
    assert rows["a b Answer: 1"] == (0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert rows["a c Answer: 0"] == (0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_prefix_ratios_by_step_and_by_draws_of_a_search() -> None:
    tree = plant(step("a", answer(1, draws=3), answer(0)), step("b", cut("c d")))
    assert by_text(rows_of(PrefixRatio(level="steps"), tree)) == {
        "a Answer: 1": (0.75, 1.0),
        "a Answer: 0": (0.75, 0.0),
        "b c d": (0.0, 0.0),
    }


def test_progress_along_a_shortest_path_and_off_it() -> None:
    """m of a is 2, of b and f 1, of e 2, of answers 0. So a: 1/3; b: 1/3 + 2/3 / 2; e: 1/3 + 2/3 / 3 = 5/9; f: 5/9 +
    4/9 / 2 = 7/9. d is wrong, with the m of a: 1/3 - 2/3 / 3 = 1/9; its answer keeps that m: 1/9 - 8/9 / 3 < 0."""
    detour = step("e", step("f", answer(1)))
    tree = plant(step("a", step("b", answer(1)), detour, step("d", answer(0))), answer(0))
    rows = {
        text: [round(value, 6) for value in values]
        for text, values in by_text(rows_of(Progress(root=True), tree)).items()
    }
    third = round(1 / 3, 6)
    assert rows["a b Answer: 1"] == [0.0, third, round(2 / 3, 6), 1.0]
    assert rows["a e f Answer: 1"] == [0.0, third, round(5 / 9, 6), round(7 / 9, 6), 1.0]
    assert rows["a d Answer: 0"] == [0.0, third, round(1 / 9, 6), 0.0]
    assert rows["Answer: 0"] == [0.0, 0.0]
    labels = {"".join(row.completions): row.labels for row in rows_of(Progress(), tree)}
    assert labels["a\nd\nAnswer: 0"] == (True, False, False)


def test_only_an_answer_has_progress_one() -> None:
    """Two right ways, of one step and of three: the first step of the long one has a third, not all."""
    tree = plant(answer(1), step("b", step("c", answer(1))))
    assert by_text(rows_of(Progress(), tree)) == {
        "Answer: 1": (1.0,),
        "b c Answer: 1": pytest.approx((1 / 3, 2 / 3, 1.0)),
    }


def progress_by_recursion(seen: View, number: int, above: float, steps: int | None, found: dict[int, float]) -> None:
    """Progress below a node of value `above`, from the top down. `steps`: fewest from here, or from the nearest node
    above that can, to a right answer."""

    def least(at: int) -> int | None:
        if seen.tree.nodes[at].outcome == 1.0:
            return 0
        ways = [n for child in seen.below[at] if (n := least(child.node)) is not None]
        return min(ways) + 1 if ways else None

    for child in seen.below[number]:
        if seen.reach[child.node].total:
            own = least(child.node)
            m, r = (steps, -1) if own is None else (own, 1)
            found[child.node] = 0.0 if m is None else max(0.0, above + (1 - above) * r / (m + 1))
            progress_by_recursion(seen, child.node, found[child.node], m, found)


@given(trees)
def test_progress_is_that_of_a_recursion_from_the_top(tree: Tree) -> None:
    seen = View(in_steps(tree, CODEC))
    found = {0: 0.0}
    progress_by_recursion(seen, 0, 0.0, None, found)
    assert {n: target.value for n, target in Progress().known(seen).items()} == pytest.approx(found)


def test_a_shared_target_counts_once_where_multiplicity_is_unique() -> None:
    """a stands on two of three rows; without a third of all weight it would count twice."""
    paths = [row.weights for row in rows_of(TreeQ(root=True), TREE)]
    unique = [row.weights for row in rows_of(TreeQ(root=True), TREE, multiplicity="unique")]
    assert paths == [(1.0, 1.0, 1.0)] * 3
    assert unique == [(1 / 3, 1 / 2, 1.0), (1 / 3, 1 / 2, 1.0), (1 / 3, 1.0, 1.0)]


def test_few_observations_weigh_less() -> None:
    [first, *_] = rows_of(TreeQ(), TREE, shrink=1.0)
    assert first.weights == (4 / 5, 1 / 2)


def test_rows_of_one_tree_stand_together_whatever_the_choice() -> None:
    given = [
        plant(step("a", answer(1)), step("b", answer(0)), sample=0),
        plant(step("c", answer(1)), step("d", answer(0)), sample=1),
    ]
    rows = rows_of(Outcome(), *given, policy=PathPolicy(correct=2, wrong=2))
    assert [(row.tree, row.completions[0]) for row in rows] == [(0, "a\n"), (0, "b\n"), (1, "c\n"), (1, "d\n")]


RULES: list[TargetRule] = [
    Outcome(),
    Outcome(level="tokens"),
    TreeQ(scale="p", root=True),
    MonteCarlo(root=True),
    MonteCarlo(label="hard"),
    PrefixRatio(root=True),
    PrefixRatio(level="steps"),
    Progress(),
]


@given(trees, st.sampled_from(RULES), st.sampled_from(["paths", "unique"]))
def test_targets_stand_on_the_last_tokens_of_their_steps(tree: Tree, rule: TargetRule, multiplicity: Any) -> None:
    seen = in_steps(tree, CODEC)
    for row in rows_of(rule, tree, multiplicity=multiplicity):
        begin = 0
        for end, text, number in zip(row.ends, row.completions, row.nodes, strict=True):
            assert CODEC.decode(row.token_ids[begin : end + 1]) == text == seen.nodes[number].text
            begin = end + 1
        assert begin == len(row.token_ids)
        assert row.token_ids.count(END) == (seen.nodes[row.nodes[-1]].terminal == "answer")
        if not (isinstance(rule, PrefixRatio) or getattr(rule, "level", "") == "tokens"):
            assert set(row.at) <= {-1, *row.ends}
        assert list(row.at) == sorted(set(row.at))
        assert len(row.at) == len(row.values) == len(row.n_eff) == len(row.weights) > 0
        assert len(row.correct) == len(row.total) and len(row.total) in (0, len(row.at))
        assert all(0 <= value <= 1 for value in row.values) and all(0 < weight <= 1 for weight in row.weights)
        assert row.outcome in (0.0, 1.0)
        for correct, total, n in zip(row.correct, row.total, row.n_eff, strict=False):
            assert 0 <= correct <= total == n


@given(trees)
def test_prefix_ratios_are_means_of_what_goes_on_from_them(tree: Tree) -> None:
    """Item 6 of the invariants: 0 or 1 at a leaf, the pass rate at the root, and the count-weighted mean of the
    children at every node."""
    seen = View(in_steps(tree, CODEC))
    known = PrefixRatio().known(seen)
    verified = [(end.outcome, end.draws) for end in seen.tree.nodes if end.terminal and end.outcome is not None]
    total = sum(draws for _, draws in verified)
    assert (0 in known) == (total > 0)
    if total:
        assert known[0].value == pytest.approx(sum(outcome * draws for outcome, draws in verified) / total)
    for number, target in known.items():
        node = seen.tree.nodes[number]
        if node.terminal:
            assert target.value == node.outcome
            continue
        children = [known[child.node] for child in seen.below[number] if child.node in known]
        assert target.n == sum(child.n for child in children)
        assert target.value == pytest.approx(sum(child.value * child.n for child in children) / target.n)


@given(trees)
def test_prefix_ratios_at_tokens_agree_with_counting_by_hand(tree: Tree) -> None:
    """Every draw of a verified end counts for each of its token prefixes. A step that is a beginning of another one is
    left out: it ends there, and has its own counts."""
    seen = in_steps(tree, CODEC)
    counts: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for end in seen.nodes:
        if end.terminal and end.outcome is not None:
            ids = tuple(t for node in seen.path(end) for t in node.token_ids)
            for j in range(1, len(ids) + 1):
                counts[ids[:j]][0] += end.outcome * end.draws
                counts[ids[:j]][1] += end.draws
    if any(node.terminal == "limit" for node in seen.nodes):
        return
    for row in rows_of(PrefixRatio(), tree):
        assert [(c, n) for c, n in zip(row.correct, row.total, strict=True)] == [
            tuple(counts[row.token_ids[: j + 1]]) for j in row.at
        ]
        assert row.at == tuple(range(len(row.token_ids)))


@given(trees, st.sampled_from(RULES))
def test_unique_weights_add_up_to_one_a_prefix(tree: Tree, rule: TargetRule) -> None:
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for row in rows_of(rule, tree, multiplicity="unique"):
        for at, weight in zip(row.at, row.weights, strict=True):
            sums[row.token_ids[: at + 1]] += weight
    assert all(total == pytest.approx(1.0) for total in sums.values())


def test_visits_of_children_never_exceed_the_parents() -> None:
    """Item 4 on real trees: what is backed up through a child is backed up through its parent."""
    from data_gen.search.algorithms.mcts import Mcts
    from tests.data_gen.search.toy import ToyScorer, World, grow

    world = World.random(4)
    for grown in grow(Mcts(simulations=15), world, scorer=ToyScorer(world.value), runs=4):
        seen = View(in_steps(grown.frozen(0, oracle=True), CODEC))
        assert all(sum(child.visits for child in seen.below[node.node]) <= node.visits for node in seen.tree.nodes)
