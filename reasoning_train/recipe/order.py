"""The order of the graph: all drafts once references are resolved, inputs first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from reasoning_train.api.refs import Ref, Spread
from reasoning_train.recipe.drafts import Draft
from reasoning_train.recipe.errors import Problems


def refs_in(value: Any) -> Iterator[Ref]:
    """Every reference inside a config, in order."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from refs_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from refs_in(item)


def map_refs(value: Any, change: Callable[[Ref], Any]) -> Any:
    """`value` with every reference replaced. If one becomes a list inside a list, the lists are joined."""
    if isinstance(value, Ref):
        return change(value)
    if isinstance(value, Spread):
        return Spread(value.stage, {name: map_refs(item, change) for name, item in value.refs.items()})
    if isinstance(value, Mapping):
        return {name: map_refs(item, change) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    mapped: list[Any] = []
    for item in value:
        new = map_refs(item, change)
        if isinstance(item, Ref) and isinstance(new, list):
            mapped += new
        else:
            mapped.append(new)
    return mapped


def ordered(
    drafts: dict[str, Draft], config: Callable[[Draft], Mapping[str, Any] | None], problems: Problems
) -> list[Draft]:
    """All drafts, inputs first. `drafts` grows by implicit ones while `config` resolves references.

    If there is a cycle, a problem is noted and the drafts are in the order of the recipe.
    """
    needs: dict[str, list[str]] = {}
    waiting, known = deque(drafts), set(drafts)
    while waiting:
        name = waiting.popleft()
        needs[name] = _needs(drafts[name], config)
        new = dict.fromkeys(need for need in needs[name] if need in drafts and need not in known)
        waiting.extend(new)
        known.update(new)
    try:
        sorter = TopologicalSorter({name: [need for need in found if need in drafts] for name, found in needs.items()})
        return [drafts[name] for name in sorter.static_order()]
    except CycleError as error:
        circle: list[str] = error.args[1]
        problems.add(
            drafts[circle[0]].path,
            f"stages refer to each other in a circle: {' -> '.join(circle)}. Remove one of the references.",
        )
        return list(drafts.values())


def _needs(draft: Draft, config: Callable[[Draft], Mapping[str, Any] | None]) -> list[str]:
    gates = [name for name in (draft.stop_gate, draft.previous) if name]
    return list(dict.fromkeys([*(ref.node for ref in refs_in(config(draft))), *gates]))
