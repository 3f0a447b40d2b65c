"""Makes one evaluation row from a problem's trees: the elected answer, its accuracy, and its cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from data_gen.marks import read_spans
from data_gen.measures.base import Measure
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from data_gen.records.trees import Tree, TreeNode
from data_gen.records.verdict import Verdict
from data_gen.search import SEARCHES
from data_gen.search.votes.ballots import ballots
from data_gen.search.votes.base import Ballot, ClassOf, Elected, Vote
from data_gen.search.votes.elect import elect
from data_gen.search.votes.subsets import elect_among
from data_gen.tasks.base import Task
from reasoning_train.evaluation.vote_costs import charged, dead_ends, final_paths, tokens_of
from reasoning_train.store.table_row import TableRow, numbered, of_problem

ABSTAINED = "abstained"
"""Verdict of a row whose strategy did not answer."""


class VotedTrees:
    """A problem's trees from one source, for all strategies over them: what does not depend on the vote is computed
    once."""

    def __init__(self, problem: Problem, trees: Sequence[Tree], class_of: ClassOf, task: Task) -> None:
        self.problem, self.trees, self.class_of, self.task = problem, trees, class_of, task

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The fields of every row that do not depend on the strategy."""
        return {
            **of_problem(self.problem),
            **_pool(self.trees[0], self.class_of),
            "cut": mean(map(_cut, self.trees)),
        }

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """The number of final paths with and without an answer, a pair a tree."""
        return [(len(final_paths(tree)), len(dead_ends(tree))) for tree in self.trees]


def vote_rows(rows: Mapping[str, int | None], forest: VotedTrees, vote: Vote) -> Iterator[TableRow]:
    """The rows of one strategy: name -> `n`, the number of each tree's independent paths to vote with, at their share
    of the tokens. None: the whole trees.

    Answer and measures come from the first tree; accuracy and costs are means over all trees. `tokens` counts generated
    tokens, discarded ones included, and tokens that verifiers read. A rule that stops drawing is charged for the draws
    up to there, in the mean over their orders.
    """
    problem, task, oracle = forest.problem, forest.task, any(measure.reads_gold for measure in vote.measures())
    cast = [ballots(tree, vote, partial(_measured, tree, vote, problem, task)) for tree in forest.trees]
    for name, n in rows.items():
        yield _row(name, forest, cast, vote, n, oracle)


def _row(
    name: str, forest: VotedTrees, cast: Sequence[Sequence[Ballot[TreeNode]]], vote: Vote, n: int | None, oracle: bool
) -> TableRow:
    trees, found = forest.trees, list(zip(forest.trees, cast, forest.sizes, strict=True))
    elected = [_elected(tree, own, dead, vote, n, forest.class_of) for tree, own, (_, dead) in found]
    costs = [charged(tree, own, vote, n, live + dead) for tree, own, (live, dead) in found]
    generated, scored = mean(cost.generated for cost in costs), mean(cost.scored for cost in costs)
    known = [one.accuracy for one in elected if one.accuracy is not None]
    calls = [cost.calls for cost in costs if cost.calls is not None]
    shown, abstained = elected[0].leaf, elected[0].leaf is None and vote.abstains
    solution = path_solution(trees[0], shown, forest.task)
    return TableRow(
        policy=name,
        strategy=strategy_of(trees[0], vote, n),
        verdict=_verdict(elected),
        accuracy=mean(known) if len(known) == len(elected) else None,
        coverage=1 - mean(one.abstained for one in elected) if vote.abstains else None,
        confidence=elected[0].confidence,
        answer=shown.answer if shown else None,
        tokens=generated + scored,
        generated_tokens=generated,
        scored_tokens=scored,
        calls=mean(calls) if len(calls) == len(costs) else None,
        oracle=any(tree.oracle for tree in trees) or oracle,
        measures={} if abstained else forest.task.measure(forest.problem, solution),
        solution=_text(trees[0], shown),
        **forest.fields,
    )


def _measured(
    tree: Tree, vote: Vote, problem: Problem, task: Task, leaf: TreeNode
) -> Mapping[Measure, Mapping[str, float]]:
    """What the vote's measures say of the path that ends in a leaf."""
    if not (measures := vote.measures()):
        return {}
    solution = path_solution(tree, leaf, task)
    return {measure: measure.of(task, problem, solution) for measure in measures}


def mean(values: Iterable[float]) -> float:
    """Their mean."""
    found = list(values)
    return sum(found) / len(found)


def classes_of(task: Task, problem: Problem, answers: Iterable[str | None]) -> ClassOf:
    """The class of each of these answers to a problem. They are compared once, since graders may be slow."""
    return task.classes(problem, (answer for answer in answers if answer is not None)).__getitem__


def answers_in(trees: Iterable[Tree]) -> Iterator[str | None]:
    """The answers of the final paths of trees, one a path."""
    return (leaf.answer for tree in trees for leaf in final_paths(tree))


def strategy_of(tree: Tree, vote: Vote, n: int | None) -> str:
    """How the answer was found: `best_of_n 8, majority`, `beam, argmax by min`. The number of paths is given only for
    searches with independent paths, where it means the same for every problem."""
    pool = [str(n or len(final_paths(tree)) + len(dead_ends(tree)))] if SEARCHES.get(tree.search).independent else []
    score = [] if vote.counted == "search" else ["by", vote.counted]
    return f"{' '.join([tree.search, *pool])}, {' '.join([vote.uses, *score])}"


def _elected(
    tree: Tree, cast: Sequence[Ballot[TreeNode]], dead: int, vote: Vote, n: int | None, class_of: ClassOf
) -> Elected[TreeNode]:
    key = f"{tree.problem_id}#{tree.sample}"
    if n is None:
        return elect(cast, vote, class_of, key)
    return elect_among(cast, dead, n, vote, class_of, key)


def _pool(tree: Tree, class_of: ClassOf) -> dict[str, Any]:
    """The fields of a row that come from the final paths of a tree."""
    paths = final_paths(tree)
    answers = tuple(leaf.answer for leaf in paths)
    return {
        "sampled_answers": answers,
        "sampled_classes": numbered(answers, class_of),
        "sampled_correct": tuple(leaf.outcome == 1.0 for leaf in paths),
        "sampled_steps_ok": tuple(leaf.steps_ok for leaf in paths),
        "sampled_tokens": tuple(tokens_of(tree, leaf) for leaf in paths),
        "sampled_cut": tuple(leaf.terminal == "limit" for leaf in paths),
    }


def _cut(tree: Tree) -> float:
    """Share of the drawn ends that a limit cut."""
    ends = [(node.draws, node.terminal == "limit") for node in tree.nodes if node.terminal]
    return sum(draws for draws, cut in ends if cut) / max(1, sum(draws for draws, _ in ends))


def _verdict(elected: Sequence[Elected[TreeNode]]) -> str:
    if any(one.accuracy is None for one in elected):
        return "unverifiable"
    if elected[0].leaf is None and elected[0].abstained:
        return ABSTAINED
    return "correct" if elected[0].leaf and elected[0].leaf.outcome == 1.0 else "wrong"


def path_solution(tree: Tree, leaf: TreeNode | None, task: Task) -> Solution:
    """A path of a tree as a solution for measures. Without a leaf it is an empty solution that was cut.

    There is no tokenizer here, so the kinds of spans come from their text. All ids of a node are in its last span;
    their number over the whole solution is right.
    """
    path = tree.path(leaf) if leaf else []
    return Solution(
        problem_id=tree.problem_id,
        sample=tree.sample,
        prompt=tree.root.text,
        segments=tuple(segment for node in path for segment in _spans(node, task)),
        answer=leaf.answer if leaf else None,
        verdict=Verdict.CORRECT if leaf and leaf.outcome == 1.0 else Verdict.WRONG,
        finish="stop" if leaf and leaf.terminal != "limit" else "length",
        steps_ok=leaf.steps_ok if leaf else None,
        prompt_ids=tree.root.token_ids,
    )


def _spans(node: TreeNode, task: Task) -> Iterator[Segment]:
    form, begin = task.format, 0
    for kind, end in read_spans(node.text, form.marks, form.step_delimiter, form.answer_mark.strip()):
        last = end == len(node.text)
        yield Segment(kind=kind, text=node.text[begin:end], token_ids=node.token_ids if last else ())
        begin = end


def _text(tree: Tree, leaf: TreeNode | None) -> str:
    return "".join(step.text for step in tree.path(leaf)) if leaf else ""
