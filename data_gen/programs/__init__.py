"""Prompt programs: strategies that turn a problem into solutions, each one async function in its own file.

A file of this folder adds one, as does a module of a user's package under the entry-point group `data_gen.programs`:

    @PROGRAMS.register("twice")
    class Twice(PromptProgram):
        uses: Literal["twice"] = "twice"

        async def solve(self, problem, kit):
            [draft] = await kit.at("draft").ask()
            [final] = await kit.at("final").ask("{question}\\n\\nIs this right?\\n{draft}", draft=draft.said)
            return [kit.solution(draft), kit.solution(final)]
"""

from data_gen.programs.base import PromptProgram
from data_gen.programs.question import BareProblem
from data_gen.registry import Registry

PROGRAMS: Registry[type[PromptProgram]] = Registry("program", package="data_gen.programs", group="data_gen.programs")
"""Name -> program."""

__all__ = ["PROGRAMS", "BareProblem", "PromptProgram"]
