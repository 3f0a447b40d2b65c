"""Rounds: a repeated group of stages, unrolled when the recipe loads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reasoning_train.recipe.drafts import Draft, drafts_of, varied
from reasoning_train.recipe.errors import Problems, sentence
from reasoning_train.recipe.overrides import BadOverride, value_of_round
from reasoning_train.recipe.resolver.scope import Scope
from reasoning_train.recipe.resolver.text import hint, paths
from reasoning_train.recipe.schema import ChoiceRule, Rounds, Stage, Stop

STOP, BEST, LAST = _MADE = ("stop", "best", "last")
"""Names of nodes that a group of rounds makes itself. No stage of a round may have one of them."""


def _sound(name: str, rounds: Rounds, problems: Problems) -> bool:
    """Whether all names inside a group of rounds are stages of the round."""
    found = [
        (f"stages.{stage}", f"{stage!r} is made by the rounds themselves; rename the stage")
        for stage in rounds.stages
        if stage in _MADE
    ]
    named = {"policy": rounds.policy}
    named |= {f"{where}.{stage}": stage for where in ("start", "first", "vary") for stage in getattr(rounds, where)}
    for rule in ("stop", "choose"):
        choice: ChoiceRule | None = getattr(rounds, rule)
        if choice:
            named[f"{rule}.table"] = table_of(choice)
            if not table_of(choice):
                expected = "expected a stage of the round such as ${stages.dev}"
                found.append((f"{rule}.table", f"{expected}, got {choice.table!r}"))
    for field_name, stage in named.items():
        if stage and stage not in rounds.stages:
            found.append((field_name, f"the round has no stage {stage!r}{hint(stage, rounds.stages)}"))
        elif stage and rounds.stages[stage].grid and field_name in ("policy", "stop.table", "choose.table"):
            found.append(
                (field_name, f"{stage!r} has a grid; choose one of its settings (`uses: choose`) and name that")
            )
    for field_name, message in found:
        problems.add(f"rounds.{name}.{field_name}", sentence(message))
    return not found


def table_of(choice: ChoiceRule) -> str:
    """The stage of the round whose table a rule reads; empty if the text is not such a reference."""
    found = paths(choice.table)
    parts = found[0].split(".") if len(found) == 1 else []
    return parts[1] if len(parts) == 2 and parts[0] == "stages" else ""


def _start(rounds: Rounds, choice: ChoiceRule) -> tuple[str, str] | None:
    """References to the policy and the table of round 0, if `start` names both. The start may then win over every
    round."""
    table = table_of(choice)
    return (rounds.start[rounds.policy], rounds.start[table]) if {rounds.policy, table} <= rounds.start.keys() else None


def unrolled(name: str, rounds: Rounds, problems: Problems) -> Iterator[Draft]:
    """The drafts of all rounds; none if the group is invalid."""
    if not _sound(name, rounds, problems):
        return
    for k in range(1, rounds.max + 1):
        for stage in rounds.stages:
            entry, place = _in_round(name, k, stage, rounds, problems)
            gate = _gate(name, k, stage, rounds)
            yield from drafts_of(f"rounds.{name}.{k}.{stage}", place, entry, problems, Scope(name, k), **gate)
        if rounds.stop:
            yield _stop_draft(name, k, rounds, rounds.stop)


def _in_round(name: str, k: int, stage: str, rounds: Rounds, problems: Problems) -> tuple[Stage, str]:
    """A stage as in round k, and the path at which its problems are reported: the round's own path if the stage
    differs."""
    entry, place, own = rounds.stages[stage], f"rounds.{name}.stages.{stage}", f"rounds.{name}.{k}.{stage}"
    vary, first = (f"rounds.{name}.{rule}.{stage}" for rule in ("vary", "first"))
    try:
        values = value_of_round(rounds.vary.get(stage, {}), k, rounds.max, vary)
    except BadOverride as error:
        problems.add(*error.args)
        return entry, place
    changes = {vary: (values, f".{k - 1}"), first: (rounds.first.get(stage, {}) if k == 1 else {}, "")}
    return varied(entry, place, own, changes, problems)


def _gate(name: str, k: int, stage: str, rounds: Rounds) -> dict[str, Any]:
    if k == 1 or not rounds.stop:
        return {}
    return {"stop_gate": f"rounds.{name}.{k - 1}.{STOP}", "previous": f"rounds.{name}.{k - 1}.{stage}"}


def _stop_draft(name: str, k: int, rounds: Rounds, stop: Stop) -> Draft:
    """The decision after round k. It reads the tables so far, with that of `start` as round 0."""
    start = _start(rounds, stop)
    tables = [f"${{rounds.{name}.{j}.{table_of(stop)}}}" for j in range(1, k + 1)]
    written: dict[str, Any] = {"tables": [*([start[1]] if start else []), *tables], "first": 0 if start else 1}
    written |= {"metric": stop.metric, "row": stop.row, "lower": stop.lower, "min_gain": stop.min_gain}
    gate = _gate(name, k, STOP, rounds)
    return Draft(
        name=f"rounds.{name}.{k}.{STOP}", path=f"rounds.{name}.stop", uses="round_stop", written=written, **gate
    )


def best_draft(name: str, rounds: Rounds, choice: ChoiceRule) -> Draft:
    """The node behind `${rounds.NAME.best}`: the policy of the best round on dev."""
    start = _start(rounds, choice)
    rounds_of = {f"round {k}": f"rounds.{name}.{k}" for k in range(1, rounds.max + 1)}
    policies = {label: f"${{{path}.{rounds.policy}}}" for label, path in rounds_of.items()}
    tables = {label: f"${{{path}.{table_of(choice)}}}" for label, path in rounds_of.items()}
    if start:
        policies, tables = {"start": start[0], **policies}, {"start": start[1], **tables}
    written = {"policies": policies, "table": tables, "metric": choice.metric, "row": choice.row, "lower": choice.lower}
    written |= {"uneven": choice.uneven} if choice.uneven else {}
    rule = "choose" if rounds.choose else "stop"
    return Draft(name=f"rounds.{name}.{BEST}", path=f"rounds.{name}.{rule}", uses="choose", written=written)
