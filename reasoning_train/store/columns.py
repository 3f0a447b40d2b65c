"""Arrow schemas of the row kinds, derived from the records. They are explicit, so that empty lists, None and label
types have the same type in every shard."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from data_gen.records.labels import StepPair, ValueTarget
from data_gen.records.problem import Problem
from data_gen.records.rows import Measures, Tags, bare, hints_of
from data_gen.records.solution import Solution
from data_gen.records.trees import Tree, TreeNode
from reasoning_train.store.table_row import TableRow

if TYPE_CHECKING:
    import pyarrow

RECORDS: dict[str, tuple[type, ...]] = {
    "problems": (Problem,),
    "solutions": (Solution,),
    "trees": (Tree, TreeNode),
    "pairs": (StepPair,),
    "value_targets": (ValueTarget,),
    "table": (TableRow,),
}
"""Kind -> the records whose fields make up a row. Kinds of other packages are inferred from their
rows."""

DERIVED: dict[str, tuple[str, Any, str]] = {
    "solutions": ("completion", str, "prompt"),
    "pairs": ("margin", float, "score_rejected"),
}
"""Kind -> a computed column, its type, and the column that it follows."""


@cache
def schema_of(kind: str) -> pyarrow.Schema | None:
    """The schema of a kind: int32 and float64 unless the field says otherwise. None for a kind without records."""
    import pyarrow as pa

    if kind not in RECORDS:
        return None
    name, hint, behind = DERIVED.get(kind, ("", None, ""))
    fields: list[Any] = []
    for field, its in ((field, its) for record in RECORDS[kind] for field, its in hints_of(record).items()):
        if field == "nodes" and kind == "trees":  # each node is a row of its own
            continue
        fields.append((field, arrow_type(its)))
        if field == behind:
            fields.append((name, arrow_type(hint)))
    return pa.schema(fields)


def arrow_type(hint: Any) -> pyarrow.DataType:
    """The Arrow type of a field.

    >>> arrow_type(tuple[int, ...] | None)
    ListType(list<item: int32>)
    """
    import pyarrow as pa

    if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], str):
        return getattr(pa, get_args(hint)[1])()
    hint = bare(hint)
    if get_origin(hint) is tuple:
        return pa.list_(arrow_type(get_args(hint)[0]))
    if dataclasses.is_dataclass(hint):
        return pa.struct([(name, arrow_type(its)) for name, its in hints_of(hint).items()])  # type: ignore[arg-type]
    if hint in (Tags, Measures):
        return pa.string()
    # Everything else is text: str, a string enum, or a Literal of strings.
    return {bool: pa.bool_(), int: pa.int32(), float: pa.float64()}.get(hint, pa.string())
