"""Voting rules by hand, and subsets of a pool against their enumeration."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from data_gen.errors import UserError
from data_gen.records.trees import Tree, TreeNode
from data_gen.registry import Registry
from data_gen.search.votes import VOTES, Ballot, ClassOf, Elected, Vote, elect
from data_gen.search.votes.argmax import Argmax
from data_gen.search.votes.arrays import Roll
from data_gen.search.votes.ballots import ballots
from data_gen.search.votes.base import C
from data_gen.search.votes.majority import Majority
from data_gen.search.votes.subsets import ALL_SUBSETS, elect_among
from data_gen.search.votes.weighted import Weighted


def leaf(node: int, answer: str, outcome: float | None, **more: object) -> TreeNode:
    fields = {"parent": 0, "depth": 1, "text": answer, "token_ids": (1,), "terminal": "answer", **more}
    return TreeNode(node=node, answer=answer, outcome=outcome, **fields)


BUILT_IN = ["argmax", "draw", "majority", "weighted"]
ONE, TWO, THREE = leaf(1, "1", 1.0), leaf(2, "2", 0.0), leaf(3, "2.0", 0.0)
CAST = [Ballot(ONE, 1, 0.9), Ballot(TWO, 2, 0.3), Ballot(THREE, 1, 0.4)]


def vote(rule: str) -> Vote:
    return VOTES.get(rule)()  # type: ignore[call-arg]


as_text, as_number = str, float


@pytest.mark.parametrize(
    ("rule", "class_of", "accuracy", "chosen"),
    [
        ("argmax", as_text, 1.0, ONE),
        ("weighted", as_text, 1.0, ONE),  # 0.9 > 0.6 > 0.4
        ("weighted", as_number, 0.0, THREE),  # 2 and 2.0 are one answer of 1.0, shown by its best path
        ("majority", as_text, 0.0, TWO),
        ("majority", as_number, 0.0, THREE),
        ("draw", as_text, 0.9 / 1.9, None),
    ],
)
def test_rules_by_hand(rule: str, class_of: ClassOf, accuracy: float, chosen: TreeNode | None) -> None:
    elected = elect(CAST, vote(rule), class_of, "p")
    assert elected.accuracy == pytest.approx(accuracy)
    assert chosen is None or elected.leaf is chosen


def test_equal_scores_share_the_vote_and_the_choice_is_seeded() -> None:
    cast = [Ballot(ONE, 1, 0.5), Ballot(TWO, 3, 0.5)]
    assert elect(cast, Argmax(), as_text, "p").accuracy == 0.25
    assert elect([Ballot(ONE, 2, 0.1), Ballot(TWO, 2, 0.7)], Majority(), as_text, "p").accuracy == 0.5
    chosen = [elect(cast, Argmax(), as_text, f"p{i}").leaf for i in range(400)]
    assert chosen == [elect(cast, Argmax(), as_text, f"p{i}").leaf for i in range(400)]
    assert abs(chosen.count(ONE) - 100) < 39  # 4.5 standard deviations


def test_scores_that_are_all_zero_count_alike() -> None:
    cast = [Ballot(ONE, 1, 0.0), Ballot(TWO, 3, 0.0)]
    assert [elect(cast, vote(rule), as_text, "p").accuracy for rule in BUILT_IN] == [0.25, 0.25, 0.0, 0.5]


def test_nothing_to_vote_on_is_wrong_and_the_unverifiable_is_unknown() -> None:
    for rule in BUILT_IN:
        assert elect([], vote(rule), as_text, "p").accuracy == 0.0
        assert elect([Ballot(leaf(1, "1", None), 1, 0.5)], vote(rule), as_text, "p").accuracy is None


def tree_of(*values: float | None) -> Tree:
    """A path of steps with these values, the last one the leaf; beside it a cut path that does not vote."""
    nodes = [TreeNode(node=0, parent=-1, depth=0, text="", token_ids=())]
    for i, value in enumerate(values):
        end = {"terminal": "answer", "answer": "1", "votes": 2, "weight": 0.5} if i == len(values) - 1 else {}
        nodes.append(TreeNode(node=i + 1, parent=i, depth=i + 1, text="", token_ids=(1,), value=value, **end))
    nodes.append(
        TreeNode(node=len(nodes), parent=0, depth=1, text="", token_ids=(1,), terminal="limit", votes=2, weight=0.5)
    )
    return Tree(problem_id="p", sample=0, nodes=tuple(nodes), scale="signed")


def test_aggregated_scores_by_hand() -> None:
    """Signed 0, -0.5, 0.5 are P(correct) 0.5, 0.25, 0.75."""
    expected = {"search": 0.25, "last": 0.75, "min": 0.25, "prod": 0.09375, "mean": 0.5}
    for score, value in expected.items():
        [ballot] = ballots(tree_of(0.0, -0.5, 0.5), Weighted(score=score))
        assert ballot.copies == 2 and ballot.score == pytest.approx(value)


def test_a_step_without_a_value_is_named() -> None:
    assert ballots(tree_of(None, 0.5), Weighted(score="last"))[0].score == 0.75
    with pytest.raises(UserError, match="vote.score is 'min', but a step of the tree of 'p' has no value"):
        ballots(tree_of(None, 0.5), Weighted(score="min"))


pools = st.lists(
    st.tuples(st.sampled_from("123"), st.integers(1, 2), st.sampled_from([0.1, 0.5, 0.5, 0.9])), max_size=4
)


@given(pools, st.integers(0, 2), st.integers(1, 4), st.sampled_from(BUILT_IN))
def test_subsets_are_averaged_exactly(pool: list[tuple[str, int, float]], dead: int, n: int, rule: str) -> None:
    """Against every subset, one by one: `argmax` by its formula, the others since at most 1,000 subsets exist."""
    cast = [
        Ballot(leaf(i, answer, float(answer == "1")), copies, score) for i, (answer, copies, score) in enumerate(pool)
    ]
    paths = [ballot for ballot in cast for _ in range(ballot.copies)]
    size = len(paths) + dead
    if not 1 <= n <= size or math.comb(size, n) > 1_000:
        return
    subsets = itertools.combinations(range(size), n)
    chosen = [[Ballot(paths[i].leaf, 1, paths[i].score) for i in some if i < len(paths)] for some in subsets]
    found = [elect(some, vote(rule), as_text, "p").accuracy or 0.0 for some in chosen]
    assert elect_among(cast, dead, n, vote(rule), as_text, "p").accuracy == pytest.approx(sum(found) / len(found))


def test_random_subsets_are_unbiased() -> None:
    """Majority of 3 of 24 paths, 14 of them right: the hypergeometric P(at least 2 right) + nothing else; 300 pools of
    64 of the 2,024 subsets."""
    cast = [Ballot(ONE, 14, 0.5), Ballot(TWO, 10, 0.5)]
    exact = (364 * 1 + 91 * 10) / 2024
    elected = [elect_among(cast, 0, 3, Majority(), as_text, f"p{i}") for i in range(300)]
    found = [one.accuracy or 0.0 for one in elected]
    assert len(set(found)) > 1  # drawn
    assert abs(sum(found) / 300 - exact) < 4.5 * (exact * (1 - exact) / (300 * 64)) ** 0.5
    assert abs([one.leaf for one in elected].count(ONE) / 300 - exact) < 4.5 * (exact * (1 - exact) / 300) ** 0.5


def test_up_to_a_thousand_subsets_are_all_looked_at_and_one_of_them_is_shown() -> None:
    """Majority of 3 of 12 paths, 7 of them right: P(at least 2 right) by the hypergeometric distribution, whatever the
    key. The shown answer is that of a random subset."""
    cast = [Ballot(ONE, 7, 0.5), Ballot(TWO, 5, 0.5)]
    exact = (35 * 1 + 21 * 5) / 220
    elected = [elect_among(cast, 0, 3, Majority(), as_text, f"p{i}") for i in range(100)]
    assert all(one.accuracy == pytest.approx(exact) for one in elected)
    assert abs([one.leaf for one in elected].count(ONE) / 100 - exact) < 4.5 * (exact * (1 - exact) / 100) ** 0.5
    assert elect_among(cast, 0, 12, Majority(), as_text, "p").accuracy == 1.0


def test_a_pool_that_is_too_small_is_named() -> None:
    with pytest.raises(UserError, match="n is 9, but the pool of 'p' holds 5 paths"):
        elect_among(CAST, 1, 9, Argmax(), as_text, "p")


def test_classes_are_numbered_in_the_order_of_their_first_ballots() -> None:
    cast = [Ballot(leaf(i, answer, 0.0), 1, 0.5) for i, answer in enumerate(["7", "8", "7.0", "8", "9"])]
    cast.append(Ballot(TreeNode(node=9, parent=0, depth=1, text="", token_ids=(1,)), 1, 0.5))
    assert Roll(cast, float).classes.tolist() == [0, 1, 0, 1, 2, -1]


joined = st.lists(
    st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(1, 3), st.sampled_from([0.25, 0.5, 1.0])),
    min_size=1,
    max_size=5,
)


@given(joined, st.randoms(), st.sampled_from(BUILT_IN), st.integers(1, 5))
def test_no_accuracy_depends_on_the_order_of_the_paths(
    pool: list[tuple[str, bool, int, float]], rng: random.Random, rule: str, n: int
) -> None:
    """Answers that a tolerance joins may be right and wrong: `a` and `b` are one class here, and so are `c` and `d`."""
    cast = [Ballot(leaf(i, answer, float(right)), k, score) for i, (answer, right, k, score) in enumerate(pool)]
    shuffled = rng.sample(cast, len(cast))
    found = [elect(some, vote(rule), "abcd".index, "p").accuracy for some in (cast, shuffled)]
    halves = [elect(some, vote(rule), lambda one: one in "ab", "p").accuracy for some in (cast, shuffled)]
    assert found[0] == pytest.approx(found[1]) and halves[0] == pytest.approx(halves[1])
    size = sum(ballot.copies for ballot in cast)
    if n <= size and math.comb(size, n) <= ALL_SUBSETS:
        one, other = (
            elect_among(some, 0, n, vote(rule), lambda a: a in "ab", "p").accuracy for some in (cast, shuffled)
        )
        assert one == pytest.approx(other)


def test_a_class_of_right_and_wrong_paths_is_right_in_proportion() -> None:
    """2.0 and 2.0001 are joined; gold is 2.0. Which of them came first says nothing."""
    cast = [
        Ballot(leaf(1, "2.0001", 0.0), 1, 1.0),
        Ballot(leaf(2, "2.0", 1.0), 3, 1.0),
        Ballot(leaf(3, "9", 0.0), 3, 1.0),
    ]
    for order in itertools.permutations(cast):
        assert elect(order, Majority(), lambda answer: round(float(answer)), "p").accuracy == 0.75


def test_who_has_no_answer_is_counted_by_scores_alone() -> None:
    """A pool of solutions holds some without an answer: `argmax` may choose one, votes on answers pass it over."""
    nothing = TreeNode(node=9, parent=0, depth=1, text="", token_ids=(1,), outcome=0.0)
    cast = [Ballot(nothing, 3, 0.9), Ballot(ONE, 1, 0.2)]
    assert elect(cast, Argmax(), as_text, "p").leaf is nothing
    assert elect(cast, Majority(), as_text, "p").leaf is elect(cast, Weighted(), as_text, "p").leaf is ONE


def test_a_vote_of_another_package_is_one_file() -> None:
    """`least` joins by its decorator alone; pools of every size and the union of recipes' configs know it at once."""

    class Least(Vote):
        """The smallest answer wins; a bar below which it abstains."""

        uses: Literal["least"] = "least"
        bar: float = 0.0

        def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
            able = [ballot for ballot in cast if float(ballot.leaf.answer or "inf") >= self.bar]
            return [(min(able, key=lambda b: float(b.leaf.answer or "inf")).leaf, 1.0)] if able else []

    registry: Registry[type[Vote]] = Registry("vote", package="data_gen.search.votes", group="data_gen.votes")
    for name in BUILT_IN:
        registry.register(name)(VOTES.get(name))
    registry.register("least")(Least)
    adapter = TypeAdapter(registry.union())
    assert adapter.validate_python("least") == Least()
    strict = adapter.validate_python({"uses": "least", "bar": 2})
    assert elect(CAST, Least(), as_text, "p").leaf is ONE
    assert elect(CAST, strict, as_text, "p").leaf is TWO
    assert elect([CAST[0]], strict, as_text, "p") == Elected(None, 0.0)
    # 1 of 4 paths says 1: it is in half of the pairs, and the least of each that holds it.
    assert elect_among(CAST, 0, 2, Least(), as_text, "p").accuracy == pytest.approx(0.5)
