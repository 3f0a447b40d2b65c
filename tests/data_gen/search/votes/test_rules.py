"""Every rule by hand, against brute force over all subsets and orders, and what relates the rules to one another."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from data_gen.errors import UserError
from data_gen.measures.base import Measure
from data_gen.measures.completion_tokens import CompletionTokens
from data_gen.measures.steps import Steps
from data_gen.records.trees import TreeNode
from data_gen.search.votes import VOTES, Ballot, ClassOf, Elected, Vote, elect
from data_gen.search.votes.base import C
from data_gen.search.votes.charged import drawn_of
from data_gen.search.votes.subsets import elect_among
from tests.data_gen.search.votes.test_votes import leaf

ANY_VOTE: TypeAdapter[Vote] = TypeAdapter(VOTES.union())
STEPS: Measure = Steps()


def vote(uses: str, **fields: Any) -> Vote:
    return ANY_VOTE.validate_python({"uses": uses, **fields})


def ballot(node: int, answer: str, right: float | None, score: float, copies: int = 1, steps: float = 1) -> Ballot[Any]:
    return Ballot(leaf(node, answer, right), copies, score, {STEPS: {"steps": steps}})


SEVEN = ballot(1, "7", 1.0, 0.9, steps=5)
EIGHT = ballot(2, "8", 0.0, 0.4, copies=3, steps=2)
SEVENS = ballot(3, "7.0", 1.0, 0.6, steps=4)
NINE = ballot(4, "9", 0.0, 0.7, steps=4)
CAST = [SEVEN, EIGHT, SEVENS, NINE]
"""7 and 7.0 are one number: 2 of 6 paths, in few of which are many steps. 8 has 3 of 6, 9 has 1."""


@pytest.mark.parametrize(
    ("rule", "class_of", "accuracy", "abstained", "confidence"),
    [
        (vote("top_k", k=1), float, 1.0, 0, 1.0),
        # One seat for 7, the other is shared by 7.0 and 9: 7 has 1.5 of 2 as numbers, 1 of 2 as texts.
        (vote("top_k", k=2), float, 1.0, 0, 0.75),
        (vote("top_k", k=2), str, 1.0, 0, 0.5),
        (vote("top_k", k=3), str, 2 / 3, 0, 1 / 3),
        (vote("top_k", k=6), float, 0.0, 0, 0.5),
        (vote("top_k", k=99), float, 0.0, 0, 0.5),
        (vote("top_k", part=0.5), float, 1.0, 0, 2 / 3),
        (vote("top_k", k=2, of="fewest"), float, 0.0, 0, 1.0),
        # 0.9 and 0.7 are the best two scores: 7 and 9 share the vote.
        (vote("top_k", k=2, by="score"), float, 0.5, 0, 0.5),
        (vote("filtered", bar=0.5), float, 1.0, 0, 2 / 3),
        (vote("filtered", bar=0.4), float, 0.0, 0, 0.5),
        (vote("filtered", bar=0.95), float, 0.0, 1, None),
        (vote("filtered", bar=0.95, otherwise="majority"), float, 0.0, 0, 0.5),
        (vote("first_accepted", bar=0.65), float, 0.5, 0, None),
        (vote("first_accepted", bar=0.95), float, 0.0, 1, None),
        (vote("first_accepted", bar=-math.inf), float, 1 / 3, 0, None),
        (vote("gated", bar=0.5, otherwise="argmax"), float, 0.0, 0, 0.5),
        (vote("gated", bar=0.51, otherwise="argmax"), float, 1.0, 0, 1 / 3),
        (vote("gated", bar=0.51, otherwise={"uses": "filtered", "bar": 0.95}), float, 0.0, 1, None),
        (vote("abstaining", vote="majority", bar=0.5), float, 0.0, 0, 0.5),
        (vote("abstaining", vote="majority", bar=0.51), float, 0.0, 1, None),
        (vote("abstaining", vote="argmax", by="score", bar=0.9), float, 1.0, 0, 0.9),
        (vote("abstaining", vote="argmax", by="score", bar=0.91), float, 0.0, 1, None),
        # Stretched: 0.9 is 1, 0.4 is 0, 0.6 is 0.4, 0.7 is 0.6: 1.4 for 7 of 2.
        (vote("weighted", weights="minmax"), float, 1.0, 0, 0.7),
        # As they are: 1.5 for 7, 1.2 for 8, 0.7 for 9.
        (vote("weighted"), float, 1.0, 0, 1.5 / 3.4),
    ],
)
def test_by_hand(rule: Vote, class_of: ClassOf, accuracy: float, abstained: float, confidence: float | None) -> None:
    elected = elect(CAST, rule, class_of, "p")
    assert elected.accuracy == pytest.approx(accuracy)
    assert elected.abstained == abstained and (elected.leaf is None) == bool(abstained)
    assert elected.confidence == (None if confidence is None else pytest.approx(confidence))


def test_equal_scores_are_all_stretched_to_one() -> None:
    cast = [ballot(1, "7", 1.0, 0.0), ballot(2, "8", 0.0, 0.0, copies=2)]
    assert elect(cast, vote("weighted", weights="minmax"), float, "p").accuracy == 0.0
    assert elect(cast, vote("weighted"), float, "p").accuracy == 0.5  # sums of 0: the answers tie


def test_scores_that_differ_by_rounding_are_equal() -> None:
    """As the shares of a vote are whose paths all weigh a tenth: (0.1 + 0.1 + 0.1) / 3 is not 0.1."""
    cast = [ballot(1, "7", 1.0, math.nextafter(0.1, 1), copies=3), ballot(2, "8", 0.0, 0.1, copies=7)]
    for n in (1, 2, 5, 10):
        assert elect_among(cast, 0, n, vote("argmax"), float, "p").accuracy == pytest.approx(0.3)
    assert elect(cast, vote("argmax"), float, "p").accuracy == pytest.approx(0.3)
    for rule in (vote("top_k", k=1, by="score"), vote("weighted", weights="minmax")):
        assert elect(cast, rule, float, "p").accuracy == 0.0


def test_a_bar_on_scores_reads_the_ones_that_the_inner_rule_names() -> None:
    def counted(**inner: Any) -> str:
        otherwise = {"uses": "gated", "bar": 0.5, "otherwise": {"uses": "argmax", **inner}}
        return vote("abstaining", by="score", bar=0.5, vote=otherwise).counted

    assert (counted(score="min"), counted()) == ("min", "last")


def test_a_measure_with_a_name_of_its_own_and_one_that_does_not_apply() -> None:
    few, many = ({CompletionTokens(): {"completion_tokens": n}} for n in (4.0, 9.0))
    cast = [Ballot(SEVEN.leaf, 1, 0.5, few), Ballot(EIGHT.leaf, 1, 0.5, many)]
    assert vote("top_k", k=1, by="tokens") == vote("top_k", k=1, by="completion_tokens")
    assert elect(cast, vote("top_k", k=1, by="tokens"), float, "p").leaf is EIGHT.leaf
    assert elect(cast, vote("top_k", k=1, by="tokens", of="fewest"), float, "p").leaf is SEVEN.leaf
    with pytest.raises(UserError, match="the measure 'steps' has no column 'steps' for the candidate with the answer"):
        elect(cast, vote("top_k", k=1), float, "p")
    two = vote("top_k", k=1, by="step_accuracy", column="exact_trace")
    assert [one.uses for one in two.measures()] == ["step_accuracy"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"uses": "top_k"}, "give one of `k`"),
        ({"uses": "top_k", "k": 2, "part": 0.5}, "give one of `k`"),
        ({"uses": "top_k", "k": 2, "column": "tokens"}, "'tokens' is no column of `by`; expected one of steps"),
        ({"uses": "top_k", "k": 2, "by": "score", "column": "a"}, "expected one of none"),
        ({"uses": "filtered", "bar": 0.5, "score": "search"}, "expected last, min, prod or mean"),
        ({"uses": "first_accepted"}, "Field required"),
        ({"uses": "gated", "bar": 1.5, "otherwise": "argmax"}, "less than or equal to 1"),
        ({"uses": "gated", "bar": 0.5, "otherwise": "argmin"}, "there is no vote 'argmin'; expected one of"),
        ({"uses": "gated", "bar": 0.5, "otherwise": 3}, "3 is no vote; write a name"),
        ({"uses": "abstaining", "bar": 0.5, "vote": {"uses": "filtered"}}, "Field required"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ANY_VOTE.validate_python(fields)


RULES: list[Vote] = [
    vote("majority"),
    vote("weighted"),
    vote("weighted", weights="minmax"),
    vote("argmax"),
    vote("draw"),
    vote("top_k", k=2),
    vote("top_k", part=0.5, of="fewest"),
    vote("filtered", bar=0.5),
    vote("filtered", bar=0.6, otherwise="majority"),
    vote("first_accepted", bar=0.5),
    vote("gated", bar=0.6, otherwise="argmax"),
    vote("gated", bar=0.6, otherwise={"uses": "first_accepted", "bar": 0.9}),
    vote("abstaining", vote="weighted", bar=0.6),
    vote("abstaining", vote="argmax", by="score", bar=0.5),
]

paths = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.booleans(),
        st.integers(1, 2),
        st.sampled_from([0.0, 0.1, 0.5, 0.9]),
        st.integers(0, 3),
    ),
    max_size=4,
)


def plainly(cast: list[Ballot[Any]], rule: Any, class_of: ClassOf) -> tuple[float, bool, float]:
    """(accuracy, abstains, share of the chosen answer) of ballots of one copy each, as the definitions say it."""
    match rule.uses:
        case "argmax" | "draw" | "first_accepted":
            weights = {"argmax": lambda b: b.score == max(c.score for c in cast), "draw": lambda b: b.score}
            weigh = weights.get(rule.uses, lambda b: b.score >= rule.bar)
            if rule.uses == "draw" and not any(b.score for b in cast):
                weigh = bool
            total = sum(float(weigh(b)) for b in cast)
            if not total:
                return 0.0, rule.abstains, 0.0
            agree = Counter(class_of(b.leaf.answer) for b in cast)
            share = sum(weigh(b) * agree[class_of(b.leaf.answer)] / len(cast) for b in cast) / total
            return sum(weigh(b) * b.leaf.outcome for b in cast) / total, False, share
        case "gated":
            clear = plainly(cast, vote("majority"), class_of)
            return clear if cast and clear[2] >= rule.bar - 1e-12 else plainly(cast, rule.otherwise, class_of)
        case "abstaining":
            right, _, share = plainly(cast, rule.vote, class_of)
            sure = share if rule.by == "share" else max((b.score for b in cast), default=-1.0)
            return (right, False, share) if cast and sure >= rule.bar - 1e-12 else (0.0, True, 0.0)
    seats, weights = [1.0] * len(cast), [1.0] * len(cast)
    if rule.uses == "top_k":
        seats = seated(cast, rule)
    if rule.uses == "filtered":
        seats = [float(b.score >= rule.bar) for b in cast]
        if not any(seats) and rule.otherwise == "majority":
            seats = [1.0] * len(cast)
    if rule.uses == "weighted":
        weights = [b.score for b in cast]
        low, high = min(weights, default=0), max(weights, default=0)
        if rule.weights == "minmax":
            weights = [1.0 if low == high else (w - low) / (high - low) for w in weights]
    return plurality(cast, seats, weights, class_of, rule.abstains)


def seated(cast: list[Ballot[Any]], rule: Any) -> list[float]:
    """The mean number of seats of each ballot over all ways to break ties."""
    k = rule.k or math.ceil(rule.part * len(cast))
    sign = 1 if rule.of == "fewest" else -1
    amounts = [sign * b.measured[STEPS]["steps"] for b in cast]
    seats = []
    for amount in amounts:
        before = sum(other < amount for other in amounts)
        seats.append(min(1.0, max(0.0, (k - before) / amounts.count(amount))))
    return seats


def plurality(
    cast: list[Ballot[Any]], seats: list[float], weights: list[float], class_of: ClassOf, abstains: bool
) -> tuple[float, bool, float]:
    groups: dict[Any, list[int]] = {}
    for i, one in enumerate(cast):
        if seats[i]:
            groups.setdefault(class_of(one.leaf.answer), []).append(i)
    if not groups:
        return 0.0, abstains, 0.0
    sums = {name: sum(seats[i] * weights[i] for i in group) for name, group in groups.items()}
    top, total = max(sums.values()), sum(sums.values())
    leading = [group for name, group in groups.items() if math.isclose(sums[name], top)]
    accuracy = 0.0
    for group in leading:
        best = [i for i in group if cast[i].score == max(cast[j].score for j in group)]
        right = sum(seats[i] * cast[i].leaf.outcome for i in best) / sum(seats[i] for i in best)
        accuracy += right / len(leading)
    return accuracy, False, top / total if total else 1 / len(groups)


@given(
    paths,
    st.integers(0, 2),
    st.integers(1, 4),
    st.sampled_from(RULES),
    st.sampled_from(["abcd".index, "ab".__contains__]),
)
def test_all_subsets_one_by_one(
    pool: list[tuple[str, bool, int, float, int]], dead: int, n: int, rule: Vote, class_of: ClassOf
) -> None:
    """Answers that a tolerance joins may be right and wrong: `a` and `b` are one answer under the second classes."""
    cast = [ballot(i, a, float(r), s, copies=k, steps=m) for i, (a, r, k, s, m) in enumerate(pool)]
    owners = [Ballot(b.leaf, 1, b.score, b.measured) for b in cast for _ in range(b.copies)]
    size = len(owners) + dead
    if n > size:
        return
    found = [
        plainly([owners[i] for i in some if i < len(owners)], rule, class_of)
        for some in itertools.combinations(range(size), n)
    ]
    elected = elect_among(cast, dead, n, rule, class_of, "p")
    assert elected.accuracy == pytest.approx(sum(right for right, _, _ in found) / len(found))
    assert elected.abstained == pytest.approx(sum(gone for _, gone, _ in found) / len(found))
    whole = elect(cast, rule, class_of, "p")
    right, gone, _ = plainly(owners, rule, class_of)
    assert (whole.accuracy, whole.abstained) == pytest.approx((right, float(gone)))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6), st.data())
def test_drawing_until_one_is_accepted_over_all_orders(pool: list[tuple[bool, bool]], data: st.DataObject) -> None:
    """Accuracy, abstentions, and which paths are drawn at all, over every order of (right, accepted) paths."""
    n = data.draw(st.integers(1, len(pool)))
    cast = [ballot(i, str(i), float(right), float(accepted)) for i, (right, accepted) in enumerate(pool)]
    right = abstained = 0
    drawn: Counter[bool] = Counter()
    orders = list(itertools.permutations(pool))
    for order in orders:
        seen = order[:n]
        at = next((i for i, (_, accepted) in enumerate(seen) if accepted), None)
        right += at is not None and seen[at][0]
        abstained += at is None
        drawn.update(accepted for _, accepted in seen[: n if at is None else at + 1])
    elected = elect_among(cast, 0, n, vote("first_accepted", bar=0.5), str, "p")
    assert elected.accuracy == pytest.approx(right / len(orders))
    assert elected.abstained == pytest.approx(abstained / len(orders))
    number = sum(accepted for _, accepted in pool)
    of = drawn_of(len(pool), number, n)
    assert of.stopping * number == pytest.approx(drawn[True] / len(orders))
    assert of.other * (len(pool) - number) == pytest.approx(drawn[False] / len(orders))


@given(paths, st.integers(1, 8))
def test_what_relates_the_rules(pool: list[tuple[str, bool, int, float, int]], n: int) -> None:
    """Equal scores make `weighted` the majority; k of the pool's size makes `top_k` the majority; a bar that all reach
    makes `filtered` the majority and `first_accepted` the first path, that is pass@1; a random scorer's best path is
    pass@1, too."""
    cast = [ballot(i, a, float(a == "a"), s, copies=k, steps=m) for i, (a, _, k, s, m) in enumerate(pool)]
    size = sum(one.copies for one in cast)
    if not 1 <= n <= size:
        return
    equal = [Ballot(one.leaf, one.copies, 0.5, one.measured) for one in cast]

    def accuracy(rule: Vote, over: list[Ballot[Any]] = equal) -> float:
        return elect_among(over, 0, n, rule, str, "p").accuracy or 0.0

    most = accuracy(vote("majority"))
    for rule in (
        vote("weighted"),
        vote("weighted", weights="minmax"),
        vote("top_k", k=n),
        vote("top_k", part=1.0),
        vote("filtered", bar=0.0),
        vote("filtered", bar=0.6, otherwise="majority"),
        vote("gated", bar=0.0, otherwise="draw"),
        vote("abstaining", vote="majority", bar=0.0),
    ):
        assert accuracy(rule) == pytest.approx(most), rule
    one = sum(b.copies * b.leaf.outcome for b in cast) / size
    assert accuracy(vote("first_accepted", bar=-math.inf), cast) == pytest.approx(one)
    assert accuracy(vote("argmax")) == pytest.approx(one)


def test_a_random_scorer_chooses_as_one_sample_does() -> None:
    """Over all orders of four different scores the best of n is a right path as often as one path is."""
    outcomes = [1.0, 0.0, 0.0, 1.0, 1.0]
    orders = list(itertools.permutations([0.1, 0.2, 0.3, 0.4, 0.5]))
    for n in (1, 2, 5):
        found = [
            elect_among(
                [ballot(i, str(i), right, score) for i, (right, score) in enumerate(zip(outcomes, order, strict=True))],
                0,
                n,
                vote("argmax"),
                str,
                "p",
            ).accuracy
            for order in orders
        ]
        assert sum(one or 0.0 for one in found) / len(found) == pytest.approx(0.6)


class Plain(Vote):
    """`majority` as another package would write it, without arrays."""

    uses: Literal["plain"] = "plain"

    def chances(self, cast: Sequence[Ballot[C]], class_of: ClassOf) -> list[tuple[C, float]]:
        return vote("majority").chances(cast, class_of)


def test_many_subsets_are_the_mean_of_some_for_rules_of_every_kind() -> None:
    """24 paths, 8 at a time: 735,471 subsets. A rule of another package is asked about the same ones."""
    cast = [ballot(i, "ab"[i % 2], float(i % 2), (i % 7) / 7, steps=i % 5) for i in range(24)]
    one, other = (elect_among(cast, 0, 8, vote("first_accepted", bar=0.5), str, key) for key in "pq")
    assert one.accuracy == other.accuracy and one.abstained == other.abstained  # exact
    for rule in RULES:
        first, again = (elect_among(cast, 2, 8, rule, str, "p") for _ in range(2))
        assert first == again and 0.0 <= (first.accuracy or 0.0) <= 1.0 - first.abstained + 1e-12
    plain, most = (elect_among(cast, 2, 8, rule, str, "p").accuracy for rule in (Plain(), vote("majority")))
    assert plain == pytest.approx(most)


def test_an_abstention_is_no_wrong_answer_and_says_nothing_of_the_unverifiable() -> None:
    strict = vote("abstaining", vote="majority", bar=0.9)
    assert elect([], strict, str, "p") == Elected(None, 0.0, abstained=1.0)
    assert elect([], vote("majority"), str, "p") == Elected(None, 0.0)
    unknown = [ballot(1, "1", None, 0.5), ballot(2, "2", None, 0.5)]
    assert elect(unknown, strict, str, "p").accuracy is None
    assert elect_among(unknown, 3, 2, strict, str, "p").accuracy is None


def test_leaves_of_trees_are_candidates() -> None:
    assert isinstance(elect(CAST, vote("top_k", k=1), float, "p").leaf, TreeNode)
