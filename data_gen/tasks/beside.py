"""Further graders besides the one that decides. Each gives a column of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from data_gen.conventions import AnyExtractor, TaskFormat
from data_gen.graders import GRADERS, Grader

if TYPE_CHECKING:
    AnyGrader = Grader
else:
    AnyGrader = GRADERS.union()


class SideGrader(BaseModel):
    """`SideGrader(grader=Exact(), extract=(AnswerMark(mark="#### "),))`. A recipe may write the grader alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grader: AnyGrader
    extract: tuple[AnyExtractor, ...] | None = None
    """How it finds the answer. Null: as the grader itself does (`Grader.finds_with`), else as the Format says."""

    def answer(self, said: str, task_format: TaskFormat, *, cut: bool = False) -> str | None:
        """The answer that this grader grades. A completion that was cut has one only for a grader that finds answers
        itself."""
        found_by = self.extract or self.grader.finds_with
        if cut and (self.extract or found_by is None):
            return None
        own = task_format if found_by is None else task_format.model_copy(update={"extract": found_by})
        return own.extract_answer(said)


def _written_out(value: Any) -> Any:
    alone = isinstance(value, str | Grader) or (isinstance(value, Mapping) and "uses" in value)
    return {"grader": value} if alone else value


AnySideGrader = Annotated[SideGrader, BeforeValidator(_written_out, json_schema_input_type=SideGrader | AnyGrader)]
