"""References between stages: what `${stages.sample.data}` becomes, and the field types that accept one.

A stage's config model says what it takes by the field's type; the loader replaces the reference's text by a `Ref`
before validation, and the graph check compares the kind of the referenced output with the kind of the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema


@dataclass(frozen=True, slots=True)
class Ref:
    """One edge of the graph: `Ref("sample", "data")` is output `data` of node `sample`; `output=None` is its main
    output."""

    node: str
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.node}.{self.output}" if self.output else self.node

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._accept)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\$\{.+\}$", "description": "a reference such as ${stages.base}"}

    @classmethod
    def _accept(cls, value: Any) -> Ref:
        if isinstance(value, Ref):
            return value
        if isinstance(value, Spread):
            raise ValueError(
                f"expected one stage, but {value.stage!r} has a grid of {len(value)}; name one, such as "
                f"{next(iter(value))}, or choose one on dev with `uses: choose`"
            )
        raise ValueError(f"expected a reference such as ${{stages.base}}, got {value!r}")


UNKNOWN = Ref("?")
"""Stands in a config for a reference that cannot be resolved, which is told where it is written, so that the rest of
the config is still checked."""


class Spread(dict[str, Ref]):
    """All settings of a stage that has a grid, keyed by the names of table rows: `{"tuned[beta=0.1]": Ref(...),
    ...}`."""

    def __init__(self, stage: str, refs: Mapping[str, Ref]) -> None:
        """`refs`: setting (`beta=0.1`) -> reference."""
        super().__init__({f"{stage}[{setting}]": ref for setting, ref in refs.items()})
        self.stage, self.refs = stage, dict(refs)


@dataclass(frozen=True, slots=True)
class OutputKind:
    """Marks a Ref field with the kind of output it takes."""

    name: str
    same_format: bool = True
    """False: the input may come from a task with another Format (an evaluation set to decontaminate against)."""


ProblemsRef = Annotated[Ref, OutputKind("problems")]
"""Problem rows with their task (records.Problem)."""
SolutionsRef = Annotated[Ref, OutputKind("solutions")]
"""Solution rows (records.Solution)."""
ModelRef = Annotated[Ref, OutputKind("model")]
"""A `from_pretrained` folder with `format.json`."""
VerifierRef = Annotated[Ref, OutputKind("verifier")]
"""A `from_pretrained` folder with a head (heads.py) and `format.json`. The model half of its Format may differ from the
policy's."""
BackboneRef = Annotated[Ref, OutputKind("model"), OutputKind("verifier")]
"""A model or a verifier: the backbone of a head to train."""
TreesRef = Annotated[Ref, OutputKind("trees")]
"""Node rows of finished searches (trees.Tree)."""
PairsRef = Annotated[Ref, OutputKind("pairs")]
"""Preferences between two continuations (labels.StepPair)."""
ValueTargetsRef = Annotated[Ref, OutputKind("value_targets")]
"""Paths with target values for a verifier (labels.ValueTarget)."""
RowsRef = Annotated[Ref, *(OutputKind(name) for name in ("problems", "solutions", "trees", "pairs", "value_targets"))]
"""Rows of any kind that belongs to problems."""
CandidateRef = Annotated[Ref, *(OutputKind(name) for name in ("model", "verifier", "solutions", "trees"))]
"""What may be chosen on dev: a model, a verifier, or what one drew."""
TableRef = Annotated[Ref, OutputKind("table")]
"""Per-problem results of an evaluation."""
