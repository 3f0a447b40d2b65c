"""Trees with one step a node: what is cut, what is merged, and what is kept."""

from __future__ import annotations

from collections import Counter

from hypothesis import given

from data_gen.labelling.reach import View, ends, reach
from data_gen.labelling.steps import in_steps
from data_gen.records.trees import Tree
from data_gen.search import Expand
from data_gen.search.algorithms.mcts import Mcts
from tests.data_gen.labelling.plant import CODEC, END, answer, cut, ids_of, plant, rollout, step, trees, view
from tests.data_gen.search.toy import ToyScorer, World, grow


def steps_of(tree: Tree) -> list[tuple[str, int, int]]:
    """(text, parent, draws) of every node but the root."""
    return [(node.text, node.parent, node.draws) for node in tree.nodes[1:]]


def test_a_tree_of_steps_is_left_as_it_is() -> None:
    tree = plant(
        step("a", answer(1, visits=2, total=2.0), answer(0), visits=3, total=1.0, value=0.5),
        step("b", cut("c d")),
        scale="signed",
    )
    assert in_steps(tree, CODEC) == tree


def test_real_trees_of_steps_are_left_as_they_are() -> None:
    world = World.random(5)
    for grown in grow(Mcts(simulations=12, expand=Expand(n=3)), world, scorer=ToyScorer(world.value), runs=3):
        tree = grown.frozen(0, oracle=True)
        assert in_steps(tree, CODEC) == tree


def test_rollouts_are_cut_into_steps_and_share_them() -> None:
    """Node a was searched (N = 3); two rollouts of the root run through it, one ends right. Below b one rollout is
    left, c has none."""
    tree = view(
        step("a", answer(1), answer(0), visits=3, total=1.0), rollout("ab", 1), rollout("a", 0), rollout("c", 0, None)
    ).tree
    assert steps_of(tree) == [
        ("a\n", 0, 3),
        ("Answer: 1", 1, 1),
        ("Answer: 0", 1, 2),
        ("b\n", 1, 1),
        ("Answer: 1", 4, 1),
        ("c\n", 0, 1),
        ("Answer: 0", 6, 1),
    ]
    a, b, c = tree.nodes[1], tree.nodes[4], tree.nodes[6]
    assert (a.visits, a.total, a.mc_correct, a.mc_total, a.source) == (3, 1.0, 1.0, 2.0, "policy")
    assert (b.visits, b.mc_correct, b.mc_total, b.source) == (0, 1.0, 1.0, "rollout")
    assert (c.mc_total, tree.nodes[7].outcome) == (0.0, None)


def test_log_probs_of_a_path_add_up_whoever_drew_its_steps() -> None:
    tree = view(step("a", logprob=-0.5), rollout("ab", 1, logprob=-2.0), rollout("c", 0, logprob=-1.5)).tree
    sums = {leaf.text + str(leaf.parent): sum(node.logprob for node in tree.path(leaf)) for leaf in ends(tree)}
    assert sums == {"Answer: 12": -2.0, "Answer: 04": -1.5}


def test_replayed_steps_are_draws_of_the_rollout_that_they_are_part_of() -> None:
    tree = view(
        rollout("ab", 0), step("a", step("b", source="replayed", mc_total=8.0), source="replayed", steps_ok=True)
    ).tree
    assert steps_of(tree) == [("a\n", 0, 1), ("b\n", 1, 1), ("Answer: 0", 2, 1)]
    assert tree.nodes[1].steps_ok is True
    # a has the one that runs through; b its own eight (not kept here), which nothing is mixed into.
    assert (tree.nodes[1].mc_total, tree.nodes[2].mc_total) == (1.0, 8.0)
    assert tree.nodes[1].source == "replayed"


def test_lookahead_steps_are_no_samples() -> None:
    assert steps_of(view(step("a"), step("b", answer(1, source="lookahead"), source="lookahead")).tree) == [
        ("a\n", 0, 1)
    ]


def test_an_end_by_a_limit_is_none_where_a_rollout_went_on() -> None:
    tree = view(cut("a\n"), rollout("ab", 1)).tree
    assert [(node.text, node.terminal, node.outcome) for node in tree.nodes[1:]] == [
        ("a\n", "", None),
        ("b\n", "", None),
        ("Answer: 1", "answer", 1.0),
    ]


def test_nodes_of_some_tokens_become_steps() -> None:
    """Nodes end in the middle of steps; `a b` is one step of two nodes, of which the second also begins the next
    step."""
    ids = ids_of
    first = (
        "a",
        (
            (
                " b\nc",
                (("\nAnswer: 1", (), {"terminal": "answer", "answer": "1", "outcome": 1.0, "logprob": -3.0}),),
                {"logprob": -2.0},
            ),
        ),
        {"logprob": -1.0},
    )
    tree = view(first).tree
    assert [node.text for node in tree.nodes[1:]] == ["a b\n", "c\n", "Answer: 1"]
    assert tree.nodes[1].token_ids == ids("a b\n")
    assert sum(node.logprob for node in tree.nodes) == -6.0


def test_steps_known_to_be_right_or_wrong() -> None:
    """A rollout without a wrong step has none anywhere; below a wrong step none is right."""
    tree = view(step("a", steps_ok=False), rollout("ab", 0, steps_ok=False), rollout("cd", 1, steps_ok=True)).tree
    verdict = {tree.root.text + "".join(n.text for n in tree.path(node)): node.steps_ok for node in tree.nodes[1:]}
    assert verdict["go\na\nb\n"] is False
    assert verdict["go\nc\n"] is True


@given(trees)
def test_the_same_solutions_are_drawn_as_often(tree: Tree) -> None:
    """Token paths of ends with their draws, but for ends by a limit that another draw went beyond."""
    seen = in_steps(tree, CODEC)

    def drawn(of: Tree) -> Counter[tuple[int, ...]]:
        counts: Counter[tuple[int, ...]] = Counter()
        for end in ends(of):
            if end.terminal != "limit":
                counts[tuple(t for node in of.path(end) for t in node.token_ids)] += end.draws
        return counts

    assert drawn(seen) == drawn(tree)


@given(trees)
def test_nodes_are_steps_in_order_and_only_ends_hold_a_stop_token(tree: Tree) -> None:
    seen = in_steps(tree, CODEC)
    for node in seen.nodes[1:]:
        assert seen.nodes[node.node] is node and node.parent < node.node
        assert node.depth == seen.nodes[node.parent].depth + 1
        assert CODEC.decode(node.token_ids) == node.text
        assert (END in node.token_ids) == (node.terminal in ("answer", "invalid"))
    assert len({(node.parent, node.token_ids) for node in seen.nodes}) == len(seen.nodes)
    assert in_steps(seen, CODEC) == seen or any(node.source == "rollout" for node in seen.nodes)


@given(trees)
def test_counts_are_sums_over_children_and_over_leaves(tree: Tree) -> None:
    seen = View(in_steps(tree, CODEC))
    counts = reach(seen.tree)
    for node in seen.tree.nodes:
        children = seen.below[node.node]
        if children:
            assert counts[node.node].right == sum(counts[c.node].right for c in children)
            assert counts[node.node].wrong == sum(counts[c.node].wrong for c in children)
        assert (counts[node.node].total == 0) == (not any(end.outcome is not None for end in _below(seen, node.node)))
        if node.source == "rollout" and not node.terminal:  # only rollouts ran through it
            assert (node.mc_correct, node.mc_total) == (counts[node.node].right, counts[node.node].total)


def _below(seen: View, number: int) -> list:
    return [end for end in ends(seen.tree) if number in (0, *(node.node for node in seen.tree.path(end)))]
