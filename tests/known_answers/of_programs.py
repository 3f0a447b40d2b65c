"""Programs over a scripted model that is wrong, is told so, and mends it."""

from __future__ import annotations

from typing import Any

from data_gen.programs import PROGRAMS
from tests.data_gen.programs.talk import RIGHT, WORSE, WRONG, Talk, run
from tests.known_answers.cases import Settings, case

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "solve": [{}],
    "self_refine": [{}, {"rounds": 1}, {"stop_phrase": "Wrong"}],
    "revise": [{}, {"turns": 2}, {"turns": 2, "chains": 3}, {"keep": 1, "between": "\n"}],
}


def _answers(prompt: str) -> str:
    """By what the prompt ends with and how often it holds a solution."""
    if "say what is wrong" in prompt:
        return "No error" if "Answer: 20" in prompt else "Wrong it"
    return RIGHT if "Answer: 21" in prompt else WRONG if "Answer: 22" in prompt else WORSE


@case("program", *SETTINGS)
def programs(name: str) -> Settings:
    """Under several settings: prompts, and (prompt's length, answer, verdict, chosen, calls) of each row."""
    return Settings(_outcome(PROGRAMS.get(name).model_validate({"uses": name, **own})) for own in SETTINGS[name])


def _outcome(program: Any) -> list[Any]:
    policy = Talk(_answers)
    [[done]] = run(program, policy)
    rows = [
        [
            len(row.prompt_ids),
            row.answer,
            str(row.verdict),
            row.chosen,
            list(row.notes),
            sum(c.calls for c in row.charges),
        ]
        for row in done.rows
    ]
    return [program.strategy, policy.prompts, rows, dict(program.measure(done.rows))]
