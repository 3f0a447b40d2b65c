"""Pair policies on trees whose pairs were worked out by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given

from data_gen.errors import UserError
from data_gen.labelling.pairs.base import PairRule, draw_pairs
from data_gen.labelling.pairs.best_sibling import BestSibling
from data_gen.labelling.pairs.first_error import FirstErrorPairs
from data_gen.labelling.pairs.margin import Margin
from data_gen.labelling.pairs.top_bottom import TopBottom
from data_gen.labelling.pairs.whole import WholePairs
from data_gen.labelling.reach import View, reach
from data_gen.labelling.steps import in_steps
from data_gen.records.labels import StepPair
from data_gen.records.trees import Tree
from tests.data_gen.labelling.plant import CODEC, END, Spec, answer, cut, ids_of, rollout, step, trees, view


def pairs(rule: PairRule, *specs: Spec, seed: int = 0, **tree: Any) -> list[StepPair]:
    return list(rule.pairs(view(*specs, **tree), random.Random(seed)))


def sides(found: list[StepPair]) -> list[tuple[str, str]]:
    return [(pair.chosen.strip(), pair.rejected.strip()) for pair in found]


# Q: a 0.75, b 0.25, c 0.5 and unverifiable below, d never visited.
Q = (
    step("a", answer(1, visits=1, total=1.0, weight=1.0), answer(0, visits=1, total=0.0), visits=8, total=6.0),
    step("b", answer(1, visits=1, total=1.0), visits=2, total=0.5),
    step("c", answer(1, None, visits=1, total=0.2), visits=4, total=2.0),
    step("d"),
)


def test_best_against_worst_sibling() -> None:
    found = pairs(BestSibling(), *Q)
    assert sides(found) == [("a", "b"), ("Answer: 1", "Answer: 0")]
    assert [(p.score_chosen, p.score_rejected, p.margin) for p in found] == [(0.75, 0.25, 0.5), (1.0, 0.0, 1.0)]
    first, second = found
    assert (first.prompt, first.prompt_ids, first.prompt_length, first.prefix_nodes) == (
        "go\n",
        tuple(CODEC.prompt_ids("go")),
        2,
        (),
    )
    assert (first.chosen_ids, first.rejected_ids, first.end_mark) == (ids_of("a\n"), ids_of("b\n"), "none")
    assert (second.prompt, second.prefix_ids, second.prefix_nodes) == ("go\na\n", ids_of("a\n"), (1,))
    assert (second.chosen_ids[-1], second.end_mark, second.granularity) == (END, "eos", "step")


def test_scores_are_read_on_the_rules_scale() -> None:
    [pair] = pairs(
        BestSibling(),
        step("a", answer(1), visits=2, total=1.0),
        step("b", answer(0), visits=2, total=-2.0),
        scale="signed",
    )
    assert (pair.score_chosen, pair.score_rejected, pair.scale) == (0.75, 0.0, "p")


def test_a_scale_that_does_not_convert_is_refused_unless_it_is_the_rules() -> None:
    two = (step("a", answer(1), visits=1, total=3.0), step("b", visits=1, total=-1.0))
    with pytest.raises(UserError, match="'ranking' cannot be read as 'p'"):
        pairs(BestSibling(), *two, scale="ranking")
    [pair] = pairs(BestSibling(scale="ranking"), *two, scale="ranking")
    assert pair.margin == 4.0


def test_smoothing_from_visits_clipped_to_a_half() -> None:
    """N_l / (N_w + N_l): 2 / 10; and 8 / 10 where the worse sibling was visited more, which says no more than a
    coin."""
    [pair] = pairs(BestSibling(smoothing="visits"), *Q[:2])[:1]
    assert pair.label_smoothing == 0.2
    [pair] = pairs(
        BestSibling(smoothing="visits"), step("a", answer(1), visits=2, total=2.0), step("b", visits=8, total=0.0)
    )
    assert pair.label_smoothing == 0.5


def test_the_random_other_sibling_is_never_as_good() -> None:
    three = (*Q[:2], step("e", answer(0), visits=4, total=2.0), step("f", answer(1), visits=4, total=3.0))
    seen = {sides(pairs(BestSibling(rejected="random"), *three, seed=seed))[0] for seed in range(30)}
    assert seen == {("a", "b"), ("a", "e")}


def test_a_best_step_that_leads_nowhere_teaches_nothing() -> None:
    wrong = (step("a", answer(0), visits=2, total=2.0), step("b", answer(1), visits=2, total=1.0))
    assert pairs(BestSibling(), *wrong) == []
    assert sides(pairs(BestSibling(chosen_right=False), *wrong)) == [("a", "b")]


def test_along_the_answer_only_where_it_is_right() -> None:
    assert sides(pairs(BestSibling(along="answer"), *Q)) == [("a", "b"), ("Answer: 1", "Answer: 0")]
    elsewhere = (
        step("a", answer(1), answer(0), visits=2, total=1.0),
        step("b", answer(1, weight=1.0), visits=2, total=0.5),
    )
    assert sides(pairs(BestSibling(along="answer", chosen_right=False), *elsewhere)) == [("a", "b")]
    unanswered = (
        step("a", answer(1), answer(0), visits=2, total=1.0),
        step("b", answer(0, weight=1.0), visits=2, total=0.5),
    )
    assert pairs(BestSibling(along="answer"), *unanswered) == []


def test_chains_of_single_children_are_one_side() -> None:
    [pair] = pairs(
        BestSibling(chains=True),
        step("a", step("c", answer(1), visits=1), visits=2, total=2.0),
        step("b", step("c", answer(0), step("d")), visits=2, total=0.0),
    )
    assert sides([pair]) == [("a\nc\nAnswer: 1", "b\nc")]
    assert (pair.chosen_nodes, pair.rejected_nodes, pair.granularity, pair.end_mark) == (
        (1, 2, 3),
        (4, 5),
        "suffix",
        "eos",
    )


def test_all_siblings_that_differ_by_the_margin() -> None:
    """Rates of eight rollouts: a 6/8, b 3/8, c 2/8, e 0/8. a - b is exactly 3/8; b - c is not enough; e has too few to
    be sure."""
    rates = [
        step(letter, rollout("", 1), mc_correct=right, mc_total=8.0)
        for letter, right in (("a", 6.0), ("b", 3.0), ("c", 2.0))
    ]
    found = pairs(Margin(min_n=8), *rates, step("e", rollout("", 0), mc_correct=0.0, mc_total=4.0))
    assert sides(found) == [("a", "b"), ("a", "c")]
    assert [pair.margin for pair in found] == [0.375, 0.5]
    assert sides(pairs(Margin(), *rates[1:], step("e", rollout("", 0), mc_total=4.0))) == [("b", "e")]


def test_answers_count_as_certain_among_rollouts() -> None:
    assert sides(pairs(Margin(min_n=8), answer(1), step("a", rollout("", 1), mc_correct=1.0, mc_total=8.0))) == [
        ("Answer: 1", "a")
    ]


def test_steps_of_rollouts_are_no_siblings() -> None:
    assert pairs(Margin(value="reach"), rollout("a", 1), rollout("b", 0)) == []


def test_ends_below_as_worth() -> None:
    """a leads to 2 right of 3 draws, b to 0 of 1."""
    [pair] = pairs(Margin(value="reach"), step("a", answer(1, draws=2), answer(0)), step("b", answer(0)))[:1]
    assert (pair.score_chosen, pair.score_rejected) == (2 / 3, 0.0)


LONG = {letter: " ".join(letter * 12) for letter in "abcdef"}
"""12 letters: edit distances of 12."""


def test_top_two_against_bottom_two() -> None:
    """Q on [-1, 1]: a 0.9, b 0.5, c 0.4, d -0.4, e -0.8; a, b and d lead right, b, c, d, e wrong."""
    q = {
        "a": (9.0, (answer(1),)),
        "b": (5.0, (answer(1), answer(0))),
        "c": (4.0, (answer(0),)),
        "d": (-4.0, (answer(1), answer(0))),
        "e": (-8.0, (answer(0),)),
    }
    specs = [step(LONG[letter], *below, visits=10, total=w) for letter, (w, below) in q.items()]
    found = pairs(TopBottom(min_edit=12), *specs, scale="signed")
    first = [(chosen[0], rejected[0]) for chosen, rejected in sides(found)]
    assert first == [("a", "e"), ("a", "d"), ("b", "e"), ("b", "d")]
    assert [(pair.weight, pair.scale) for pair in found] == [(0.25, "signed")] * 4
    assert found[0].margin == pytest.approx(1.7)
    assert pairs(TopBottom(min_edit=13), *specs, scale="signed") == []
    assert len(pairs(TopBottom(min_edit=12, margin=1.0), *specs, scale="signed")) == 3  # b - d is 0.9


def test_a_single_step_stands_against_up_to_four() -> None:
    """a alone leads right: against the four worst of b to f, and against two where that many are asked for."""
    worse = [step(LONG[x], answer(0), visits=10, total=-float(i)) for i, x in enumerate("bcdef", start=1)]
    right = step(LONG["a"], answer(1), visits=10, total=9.0)
    found = pairs(TopBottom(min_edit=12), right, *worse, scale="signed")
    assert [rejected[0] for _, rejected in sides(found)] == ["f", "e", "d", "c"] and found[0].weight == 0.25
    assert len(pairs(TopBottom(min_edit=12, against_one=1), right, *worse, scale="signed")) == 2
    second = step(LONG["b"], answer(1), visits=10, total=8.0)
    found = pairs(TopBottom(min_edit=12), right, second, *worse[1:], scale="signed")
    assert len(found) == 4, "two stand against two"
    wrong = step(LONG["f"], answer(0), visits=10, total=-9.0)
    better = [step(LONG[x], answer(1), visits=10, total=float(9 - i)) for i, x in enumerate("abcde")]
    found = pairs(TopBottom(min_edit=12), *better, wrong, scale="signed")
    assert [chosen[0] for chosen, _ in sides(found)] == ["a", "b", "c", "d"]


def test_the_better_side_also_has_the_better_path() -> None:
    """b is the better step, .2 against -.4. Its best path to a right answer has a mean of (.2 - .8 + 1) / 3 = .13, the
    worst path below c one of (-.4 + .9 - 1) / 3 = -.17. With answers of -1 and 1 the means change places."""

    def tree(right: float, wrong: float) -> list[Spec]:
        ends = (answer(1, 1.0, visits=1, total=right), answer(0, visits=1, total=wrong))
        low = step(LONG["d"], ends[0], visits=10, total=-8.0)
        high = step(LONG["e"], ends[1], visits=10, total=9.0)
        return [step(LONG["b"], low, visits=10, total=2.0), step(LONG["c"], high, visits=10, total=-4.0)]

    assert [better[0] for better, _ in sides(pairs(TopBottom(min_edit=12), *tree(1, -1), scale="signed"))] == ["b"]
    assert pairs(TopBottom(min_edit=12), *tree(-1, 1), scale="signed") == []
    assert len(pairs(TopBottom(min_edit=12, paths=False), *tree(-1, 1), scale="signed")) == 1


def test_the_worst_path_to_a_wrong_answer_is_the_one_that_is_compared() -> None:
    """b goes on with a mean of (.2 - .8 + 1) / 3 = .13, c with (-.4 + .9) / 2 = .25 at best and (-.4 - 1) / 2 = -.7 at
    worst."""
    low = step(LONG["d"], answer(1, 1.0, visits=1, total=1.0), visits=10, total=-8.0)
    ends = (answer(0, visits=1, total=0.9), answer(2, 0.0, visits=1, total=-1.0))
    b, c = step(LONG["b"], low, visits=10, total=2.0), step(LONG["c"], *ends, visits=10, total=-4.0)
    assert [better[0] for better, _ in sides(pairs(TopBottom(min_edit=12), b, c, scale="signed"))] == ["b"]


def test_top_and_bottom_may_be_few() -> None:
    [pair] = pairs(
        TopBottom(min_edit=1),
        step("a", answer(1), visits=1, total=1.0),
        step("b", answer(0), visits=1, total=-1.0),
        scale="signed",
    )
    assert (pair.margin, pair.weight) == (2.0, 1.0)


ERROR = (
    step(
        "a",
        step(
            "b",
            step("c", answer(0, steps_ok=False), steps_ok=False),
            step("d", answer(0, steps_ok=False), steps_ok=False),
            steps_ok=False,
        ),
        step("e", answer(1, steps_ok=True), steps_ok=True),
        step("f", answer(0, steps_ok=False), steps_ok=True),
        rollout("gh", 1, steps_ok=False),
        steps_ok=True,
    ),
)
"""b is the first error of two wrong solutions; e mends it; after f only the answer is wrong; g's rollout ends right
with a wrong step."""


def test_the_first_error_against_a_corrected_step() -> None:
    found = pairs(FirstErrorPairs(), *ERROR)
    assert sides(found) == [("e", "b")]
    assert (found[0].prompt, found[0].score_chosen, found[0].score_rejected, found[0].end_mark) == (
        "go\na\n",
        1.0,
        0.0,
        "none",
    )


def test_a_wrong_answer_line_is_an_error_of_its_own() -> None:
    """The checker passes every step, and the outcome says that the answer is wrong."""
    found = pairs(FirstErrorPairs(), step("f", answer(0, steps_ok=True), answer(1, steps_ok=True), steps_ok=True))
    assert sides(found) == [("Answer: 1", "Answer: 0")]


def test_without_a_step_checker_the_oracle_cannot_judge() -> None:
    with pytest.raises(
        UserError, match=r"pairs.judge: 'oracle' needs a task with an exact step checker.*Use `judge: mc`"
    ):
        pairs(FirstErrorPairs(), step("a", answer(0)), step("b", answer(1)))


def test_rollouts_as_the_judge() -> None:
    """The first step from which none of four rollouts ends right; a step with too few stands in the way of knowing that
    it is the first."""
    bad = step("b", answer(0), mc_correct=0.0, mc_total=4.0)
    fixed = step("c", rollout("", 1), mc_correct=2.0, mc_total=4.0)
    [pair] = pairs(FirstErrorPairs(judge="mc"), step("a", bad, fixed, mc_correct=1.0, mc_total=4.0))
    assert sides([pair]) == [("c", "b")]
    assert (pair.score_chosen, pair.score_rejected) == (0.5, 0.0)
    assert pairs(FirstErrorPairs(judge="mc"), step("a", bad, fixed, mc_total=3.0)) == []


def test_a_scorer_as_the_judge() -> None:
    given = (
        step("a", answer(0, value=-0.9), value=-0.2),
        step("b", answer(1, value=0.9), value=0.3),
        step("c", answer(1, value=0.9), value=-0.1),
    )
    assert sides(pairs(FirstErrorPairs(judge="scorer"), *given, scale="signed")) == [("b", "a")]


def test_several_corrections_of_one_error() -> None:
    given = (
        step("a", answer(0, steps_ok=False), steps_ok=False),
        *(rollout(letter, 1, steps_ok=True) for letter in "bcd"),
    )
    assert len(pairs(FirstErrorPairs(per_error=2), *given)) == 2
    seen = {sides(pairs(FirstErrorPairs(), *given, seed=seed))[0][1] for seed in range(20)}
    assert seen == {"a"} and len({sides(pairs(FirstErrorPairs(), *given, seed=seed))[0][0] for seed in range(20)}) == 3


def test_at_most_so_many_pairs_a_tree_in_order() -> None:
    wide = [step(letter, answer(int(letter < "d")), visits=1, total=1.0 - i / 8) for i, letter in enumerate("abcdefgh")]
    tree = view(*wide).tree
    everything, none = draw_pairs(Margin(value="q", margin=0.1), tree, random.Random(0), None)
    few, dropped = draw_pairs(Margin(value="q", margin=0.1), tree, random.Random(0), 3)
    assert (len(few), dropped["max_per_tree"], none["max_per_tree"]) == (3, len(everything) - 3, 0)
    assert few == [pair for pair in everything if pair in few]


def test_sides_that_read_alike_are_no_pair() -> None:
    """Twins by other tokens: a blank line before a step belongs to it."""
    other = ("\na\n", (answer(0),), {"visits": 1, "total": 0.0})
    kept, dropped = draw_pairs(
        BestSibling(), view(step("a", answer(1), visits=1, total=1.0), other).tree, random.Random(0), None
    )
    assert (kept, dropped["equal_text"]) == ([], 1)


RULES = [
    BestSibling(),
    BestSibling(rejected="random", chains=True),
    Margin(value="reach"),
    Margin(value="q", margin=0.1),
    TopBottom(min_edit=1, margin=0.1),
]


@given(trees)
def test_pairs_share_their_prefix_alone_and_take_no_unverifiable_side(tree: Tree) -> None:
    seen = View(in_steps(tree, CODEC))
    below = reach(seen.tree)
    for rule in RULES:
        for pair in rule.pairs(seen, random.Random(0)):
            parent = pair.prefix_nodes[-1] if pair.prefix_nodes else 0
            prefix = [seen.tree.nodes[i] for i in pair.prefix_nodes]
            assert pair.prefix_ids == tuple(t for node in prefix for t in node.token_ids)
            assert pair.prompt == "go\n" + "".join(node.text for node in prefix)
            for nodes, ids, text in (
                (pair.chosen_nodes, pair.chosen_ids, pair.chosen),
                (pair.rejected_nodes, pair.rejected_ids, pair.rejected),
            ):
                assert seen.tree.nodes[nodes[0]].parent == parent
                assert CODEC.decode(ids) == text and text.strip()
                ended = seen.tree.nodes[nodes[-1]].terminal == "answer"
                assert (END in ids) == ended and (pair.end_mark == "eos" or not ended)
                assert below[nodes[0]].total or not below[nodes[0]].unknown
            assert below[pair.chosen_nodes[0]].right > 0
            assert pair.margin > 0 and pair.chosen_nodes[0] != pair.rejected_nodes[0]


WHOLE = (
    step("a", answer(1, logprob=-6.0), answer(0, logprob=-6.0)),  # 6 tokens: perplexity e
    step("b", answer(1, logprob=-3.0), answer("a", None)),
    step("c", answer(0, logprob=-12.0), cut("d e")),
)


def test_whole_solutions_right_against_wrong() -> None:
    found = pairs(WholePairs(), *WHOLE)
    assert sides(found) == [(f"{x}\nAnswer: 1", f"{y}\nAnswer: 0") for x in "ab" for y in "ac"]
    first = found[0]
    assert (first.prompt, first.prefix_nodes, first.granularity, first.end_mark) == ("go\n", (), "full", "eos")
    assert (first.chosen_nodes, first.rejected_nodes) == ((1, 2), (1, 3))
    assert (first.chosen_ids, first.rejected_ids) == (
        ids_of("a\nAnswer: 1", end=True),
        ids_of("a\nAnswer: 0", end=True),
    )
    assert (first.score_chosen, first.score_rejected) == (1.0, 0.0)


def test_unlikely_right_solutions_against_likely_wrong_ones() -> None:
    assert sides(pairs(WholePairs(match="perplexity"), *WHOLE)) == [
        ("a\nAnswer: 1", "a\nAnswer: 0"),
        ("b\nAnswer: 1", "c\nAnswer: 0"),
    ]
