"""Helpers for the checks of stages: which head a model has, what trees hold, which task problems come from.

They look at the possible makers of an input. If a maker is unknown (a plug-in's trainer, an external folder), nothing
is reported before the run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError
from data_gen.format import TaskFormat
from data_gen.models.folder import faults
from data_gen.records.scales import Scale, convertible
from data_gen.tasks import Task
from data_gen.verifiers.foreign import QWEN_PRM_HEAD
from data_gen.verifiers.heads import HeadConfig

if TYPE_CHECKING:
    from pathlib import Path

    from data_gen.records.trees import Held
    from reasoning_train.api.refs import Ref
    from reasoning_train.api.stage import Made, Maker

Misfits = Iterator[tuple[str, str]]
"""(field, what is wrong with it)."""
_HEADLESS = ("model", "dpo", "grpo")
"""Stage types whose models never have a value head."""
_TEXT_ONLY = ("gold", "import_steps")
"""Stage types whose solutions come from files, without token ids."""
_WITHOUT = {
    "visits": "no visits: its search {search!r}{granted} counts none",
    "rollouts": "no rollouts: neither its search {search!r}{granted} nor its scorer draws any",
    "values": "no values: its search {search!r} has no `scorer`",
    "checked_steps": "no checked steps: its task {task!r} cannot check steps",
}


def dependent_rows(maker: Maker) -> str | None:
    """Why the rows of a stage are no pool of independent samples, if they are none."""
    if maker.uses != "sample" or maker.config.program.plain:
        return None
    return (
        f"the rows of {maker.name!r} are steps of its program {maker.config.program.uses!r}: no independent samples, "
        "and dearer than their own tokens. Draw the pool by `program: solve`."
    )


def heads(made: Made, ref: Ref) -> Iterator[tuple[Maker, HeadConfig | None]]:
    """(maker, head of the model or verifier that it publishes, or None) for every known maker."""
    for maker in made.origins(ref):
        config = maker.config
        if maker.uses == "train_verifier":
            yield maker, config.head
        elif maker.uses == "sft":
            yield maker, config.value.head if config.value else None
        elif maker.uses in _HEADLESS:
            yield maker, None
        elif maker.uses == "verifier" and config.kind != "head":
            foreign = config.head or QWEN_PRM_HEAD
            yield maker, HeadConfig(activation=foreign.activation, scale=foreign.scale, read_at=foreign.read_at)
        elif maker.uses == "calibrate":
            for _, head in heads(made, config.verifier):
                calibrated = {"activation": "sigmoid", "scale": Scale.P}
                yield maker, head and head.model_copy(update=calibrated)


def table_rows(made: Made, ref: Ref) -> list[str]:
    """Row names of the table behind a reference; empty if they are known only after the run."""
    return next((maker.config.row_names for maker in made.makers(ref)), [])


def row_misfit(made: Made, row: str | None, table: Ref) -> str:
    """Why a row cannot be read from a table; empty if it can, or if the table's rows are known only after the run.
    None stands for the only row."""
    from reasoning_train.evaluation.names import row_problem

    known = table_rows(made, table)
    return (row_problem(row, known, str(table)) or "") if known else ""


def unequal_problems(made: Made, tables: Mapping[str, Ref]) -> str:
    """Why values of several tables cannot be compared: they are measured on different problems. Empty if they are
    measured on the same ones, or if that is known only after the run."""
    from reasoning_train.stages.evaluated import Evaluated

    measured = {
        name: {field: getattr(maker.config, field) for field in ("problems", "where", "limit")}
        for name, ref in tables.items()
        for maker in made.makers(ref)[:1]
        if isinstance(maker.config, Evaluated)
    }
    first = next(iter(measured), "")
    other = next((name for name in measured if measured[name] != measured[first]), "")
    if not other:
        return ""
    said = {name: f"{name!r} on {_said(measured[name])}" for name in (first, other)}
    return (
        f"candidates are compared on different problems: {said[first]}, {said[other]}. Give their tables the same "
        "`problems`, `where` and `limit`."
    )


def _said(measured: Mapping[str, Any]) -> str:
    limits = [f"{name}={value}" for name, value in measured.items() if value and name != "problems"]
    return f"{measured['problems']}" + (f" ({', '.join(limits)})" if limits else "")


def unknown_metric(made: Made, metric: str, tables: Iterable[Ref]) -> Misfits:
    """The first reason why one of the tables cannot have a metric, for the field `metric`."""
    from reasoning_train.evaluation.names import metric_problem

    found = (metric_problem(metric, made(ref)) for ref in tables)
    yield from (("metric", problem) for problem in itertools.islice(filter(None, found), 1))


def text_only(made: Made, solutions: Ref) -> Iterator[str]:
    """The names of the stages whose rows are text without token ids."""
    return (maker.name for maker in made.origins(solutions) if maker.uses in _TEXT_ONLY)


def tasks(made: Made, problems: Ref) -> Iterator[Task]:
    """The tasks that problems come from."""
    for maker in made.origins(problems):
        if maker.uses == "problems":
            yield maker.config.task


def without_step_checker(made: Made, problems: Ref) -> list[str]:
    """The names of the problems' tasks that cannot check steps."""
    return [task.uses for task in tasks(made, problems) if type(task).check_steps is Task.check_steps]


def formats(made: Made, problems: Ref) -> Iterator[TaskFormat]:
    """The text conventions of the problems' tasks."""
    return (task.format for task in tasks(made, problems))


def lacking(made: Made, trees: Ref, reads: Iterable[Held], what: str) -> Iterator[str]:
    """A message for everything that `what` reads and a search behind the trees does not store in them."""
    for maker in made.origins(trees):
        if maker.uses != "search":
            continue
        search, scorer = maker.config.search, maker.config.scorer
        unchecked = without_step_checker(made, maker.config.problems)
        held = {
            *search.counts(gold=maker.config.gold),
            *(["rollouts"] if scorer and scorer.rolls_out else []),
            *(["values"] if scorer else []),
            *([] if unchecked else ["checked_steps"]),
        }
        for missing in sorted(set(reads) - held):
            granted = "" if maker.config.gold else " without `gold: true`"
            why = _WITHOUT[missing].format(search=search.uses, granted=granted, task=", ".join(unchecked))
            yield f"{what} reads the {missing.replace('_', ' ')} of trees, but {maker.name!r} leaves {why}."


def other_problems(made: Made, rows: Ref, problems: Ref) -> Iterator[str]:
    """A message if rows were made for another split than the problems they are paired with."""
    wanted = [maker for maker in made.origins(problems) if maker.uses == "problems"]
    for maker in made.origins(rows):
        given = made.origins(maker.config.problems) if hasattr(maker.config, "problems") else []
        known = [origin for origin in given if origin.uses == "problems"]
        if wanted and known and not {origin.name for origin in wanted} & {origin.name for origin in known}:
            yield (
                f"{maker.name!r} made these rows for {', '.join(origin.name for origin in known)}, but here they are "
                f"paired with {', '.join(origin.name for origin in wanted)}. Give both the same problems."
            )


def aggregate_misfit(aggregate: str, head: HeadConfig) -> str:
    """Why the step values of a head cannot be aggregated like this; empty if they can."""
    if aggregate != "last" and head.read_at == "last":
        return f"aggregate is {aggregate!r}, but the head is read at the last token only; expected 'last'."
    if aggregate == "prod" and head.scale is not Scale.P:
        return f"aggregate is 'prod', but the head's values are of scale {str(head.scale)!r}; use last, min or mean."
    return ""


def unreadable(given: Scale, wanted: Scale) -> str:
    """Why values of one scale cannot be converted to another; empty if they can."""
    if convertible(given, wanted):
        return ""
    return f"values of scale {str(given)!r} cannot be read as {str(wanted)!r}: only p, signed and odds convert."


def unloadable(field: str, folder: Path | None) -> Misfits:
    """What is wrong with the files of a model folder that a config names. A missing folder is reported elsewhere."""
    if folder is not None and folder.exists():
        yield from ((field, f"{said}.") for said in faults(folder))


def refused(check: Callable[..., None], *arguments: Any, **named: Any) -> str:
    """The message of the UserError that a check raises; empty if it raises none."""
    try:
        check(*arguments, **named)
    except UserError as error:
        return str(error)
    return ""
