"""All votes over one stored pool: 500 problems with 64 solutions each, every rule, whole and at 1, 2, 4, ..., 64 paths.

As `evaluate_trees` does it: trees are read from disk, and every vote makes a row a problem and size.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from data_gen.records.problem import Problem
from data_gen.records.trees import Tree, TreeNode, read_trees
from data_gen.search.votes import VOTES, Vote
from data_gen.tasks.chain import Chain
from reasoning_train.evaluation.votes import VotedTrees, answers_in, classes_of, vote_rows
from reasoning_train.store.rows import Rows, write_rows

PROBLEMS, PATHS, SIZES = 500, 64, (1, 2, 4, 8, 16, 32, 64)
SECONDS = 20.0
RULES: dict[str, Any] = {
    "majority": "majority",
    "weighted": {"uses": "weighted", "score": "last"},
    "minmax": {"uses": "weighted", "score": "last", "weights": "minmax"},
    "argmax": {"uses": "argmax", "score": "last"},
    "draw": {"uses": "draw", "score": "last"},
    "top_k": {"uses": "top_k", "part": 0.5, "by": "tokens"},
    "filtered": {"uses": "filtered", "bar": 0.5},
    "first_accepted": {"uses": "first_accepted", "bar": 0.5},
    "gated": {"uses": "gated", "bar": 0.6, "otherwise": {"uses": "argmax", "score": "last"}},
    "abstaining": {"uses": "abstaining", "vote": "majority", "bar": 0.6},
}


def run() -> Iterator[dict[str, Any]]:
    """Seconds of one core, and what a mistake in counting would change: every rule's row is there."""
    votes: dict[str, Vote] = {name: TypeAdapter(VOTES.union()).validate_python(rule) for name, rule in RULES.items()}
    assert {vote.uses for vote in votes.values()} == set(VOTES.names())
    sizes: tuple[int | None, ...] = (None, *SIZES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_rows(path, kind="trees", rows=(row for i in range(PROBLEMS) for row in _pool(i).to_rows()))
        began, rows = time.process_time(), 0
        for tree in read_trees(Rows(path)):
            rows += sum(1 for _ in _rows(tree, votes, sizes))
        spent = time.process_time() - began
    assert rows == PROBLEMS * len(votes) * len(sizes)
    yield {
        "name": f"votes_{len(votes)}_rules_{len(sizes)}_sizes_{PROBLEMS}x{PATHS}",
        "value": round(spent, 2),
        "unit": "s",
        "target": f"<= {SECONDS:g}",
        "ok": spent <= SECONDS,
    }


def _rows(tree: Tree, votes: dict[str, Vote], sizes: tuple[int | None, ...]) -> Iterator[dict[str, Any]]:
    task = Chain(uses="chain")
    problem = Problem(id=tree.problem_id, question="?", gold="0", group=tree.problem_id, split="test")
    forest = VotedTrees(problem, [tree], classes_of(task, problem, answers_in([tree])), task)
    for name, vote in votes.items():
        for row in vote_rows({f"{name}@{n}": n for n in sizes}, forest, vote):
            yield row.to_row()


def _pool(number: int) -> Tree:
    """A pool of four answers and some dead paths, with scores that know a little."""
    rng = random.Random(number)
    nodes = [TreeNode(node=0, parent=-1, depth=0, text="?", token_ids=(1,))]
    for i in range(1, PATHS + 1):
        answer = rng.choices(["0", "1", "2", "3", None], [4, 3, 2, 1, 0.5])[0]
        value = round(min(1.0, max(0.0, rng.gauss(0.55 if answer == "0" else 0.45, 0.2))), 3)
        ids = tuple(range(1, rng.randint(8, 40)))
        fate: dict[str, Any] = {"terminal": "limit"}
        if answer is not None:
            fate = {"terminal": "answer", "answer": answer, "votes": 1, "weight": 1 / PATHS, "value": value}
        outcome = float(answer == "0")
        nodes.append(TreeNode(node=i, parent=0, depth=1, text="1 + 1 = 2\n", token_ids=ids, outcome=outcome, **fate))
    drawn = sum(len(node.token_ids) for node in nodes[1:])
    costs = {"generated_tokens": drawn, "scored_tokens": 2 * drawn, "requests": PATHS}
    return Tree(problem_id=f"p{number}", sample=0, nodes=tuple(nodes), scale="p", search="best_of_n", **costs)
