"""How many evaluated problems overlap, as texts, with those that their policies learned from, for every table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_gen.overlap import N, overlapping
from data_gen.tasks import Task
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.stage import STAGES, Input, refs_of
from reasoning_train.store.inputs import build_task, read_problems, read_tasks
from reasoning_train.store.store import Store

Overlap = dict[str, Any]
"""`{"evaluated": "task.test", "learned_from": "task.train", "overlapping": 3, "problems": 1000, "by": "13 words"}`;
`overlapping` is None if the problems that were learned from are in the store no more."""


def overlaps(plan: Plan, node: StageNode, store: Store) -> list[Overlap]:
    """The overlap of every pair of evaluated and learned problems of a table's node."""
    names = [name for name in node.inputs if name not in _chosen_on(node)]
    evaluated = {name: source for name in names if (source := _problems(plan, name, store))}
    return [
        {"evaluated": name, "learned_from": other, **_count(source, _problems(plan, other, store))}
        for name, source in evaluated.items()
        for other in node.learned_from
    ]


def _chosen_on(node: StageNode) -> set[str]:
    """The inputs on which a node only chooses what it measures on others."""
    fields = STAGES.get(node.uses).learns_from
    taught = {ref.node for name in fields for ref in refs_of(node.config.get(name))}
    return taught - {ref.node for name, value in node.config.items() if name not in fields for ref in refs_of(value)}


def notes_of(found: list[Overlap]) -> Iterator[str]:
    """What a table says of the overlaps that there are."""
    for one in found:
        if one["overlapping"]:
            yield (
                f"{one['overlapping']} of {one['problems']} problems of {one['evaluated']} overlap ({one['by']}) with "
                f"{one['learned_from']}, which was learned from"
            )


def _problems(plan: Plan, name: str, store: Store) -> Input | None:
    """The main output of a node if it is of problems and in the store."""
    artifact = store.find(plan.nodes[name])
    if artifact is None:
        return None
    artifact = store.open(plan.nodes[name])
    output, described = next(iter(artifact.manifest["outputs"].items()))
    if described["kind"] != "problems":
        return None
    return Input(path=artifact.path / output, kind="problems", manifest=artifact.manifest)


def _count(evaluated: Input, learned: Input | None) -> dict[str, Any]:
    texts = {problem.id: problem.question for problem in read_problems(evaluated)}
    if learned is None:
        return {"overlapping": None, "problems": len(texts)}
    # Problems of one template share long runs of words.
    templated = any(task.templated for task in _tasks(evaluated)) and any(task.templated for task in _tasks(learned))
    n = None if templated else N
    hits = overlapping(texts, (problem.question for problem in read_problems(learned)), n)
    return {"overlapping": len(hits), "problems": len(texts), "by": f"{n} words in a row" if n else "the whole text"}


def _tasks(source: Input) -> list[Task]:
    return [build_task(task) for task in read_tasks(source).values()]
