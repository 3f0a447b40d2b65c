"""Labelled steps: how they are read, and how well scorers find the first wrong one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from data_gen.step_forms import STEP_FORMS
from reasoning_train.api.refs import Ref
from tests.known_answers.cases import Settings, case
from tests.known_answers.kitchen import bench, counts, fresh, make, metrics, rows
from tests.reasoning_train.stages.chain_faults import FAULTS, labelled

STEPS = ["a", "b", "", "d"]
COMPLETIONS = [{"text": "x", "rating": 1}, {"text": "y", "rating": -1}, {"text": "z", "rating": 0}]
RATED: list[dict[str, Any]] = [
    {"completions": COMPLETIONS, "human_completion": None, "chosen_completion": chosen} for chosen in (0, 2, None)
]
FORMS: dict[str, list[tuple[dict[str, Any], list[dict[str, Any]]]]] = {
    "listed": [
        ({"first_wrong": "w"}, [{"steps": STEPS, "w": w} for w in (None, -1, 0, 3)]),
        ({"first_wrong": "w", "counted_from": 1, "answer": "a"}, [{"steps": STEPS, "w": w, "a": 7} for w in (0, 1, 4)]),
        ({"labels": "w"}, [{"steps": STEPS, "w": w} for w in ([1, -1, None, "+"], [True, False, None, None])]),
        ({"labels": "w", "zero": "right"}, [{"steps": STEPS, "w": [1, 0, 0, -1]}]),
        ({"labels": "w", "zero": "wrong"}, [{"steps": STEPS, "w": [1, 0, 0, -1]}]),
    ],
    "marked_span": [
        ({}, [{"marks": {"m": {"text": "One.\n\nTwo.\nThree.", "start_idx": at}}} for at in (None, 0, 8, 12)]),
        ({"named": "by|how"}, [{"marks": {"m|short": {"text": "One.", "start_idx": 1}}}]),
    ],
    "prm800k": [
        ({}, [{"label": {"steps": RATED, "finish_reason": "found_error"}}]),
        ({}, [{"label": {"steps": RATED[:2], "finish_reason": end}} for end in ("solution", "give_up", "bad_problem")]),
    ],
}


@case("step form", *FORMS)
def step_form(name: str) -> Any:
    """Steps, labels, answers and tags of some rows."""
    found = []
    for config, given in FORMS[name]:
        form = STEP_FORMS.get(name).model_validate({"uses": name, **config})
        read = [one for row in given for one in form.solutions(row, "f:1")]
        found.append([[one.steps, one.labels, one.answer, one.tags] for one in read])
    return Settings(found)


def _marked(split: str) -> Ref:
    """Labelled solutions of a split of the chain task, by the stage itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labelled.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in labelled(split)), encoding="utf-8")
        name = fresh(f"marked_{split}")
        bench().make(f"{name}_problems", "problems", task=FAULTS, split=split)
        form = {"uses": "listed", "question": "problem", "first_wrong": "label", "tags": {"by": "generator"}}
        bench().make(name, "import_steps", problems=Ref(f"{name}_problems"), path=str(path), form=form)
    return Ref(name)


@case("stage", "import_steps")
def import_steps() -> Any:
    """Solutions of the chain task with a fault, or without one."""
    made = bench().store.open(bench().nodes[_marked("dev").node])
    read = rows(made, "problem_id", "completion", "step_labels", "verdict", "reason", "tags")
    return [read, counts(made), metrics(made, "labels")]


@case("stage", "evaluate_steps")
def evaluate_steps() -> Any:
    """An exact checker, constants and a judge that says little; a fixed threshold, and those that dev chooses."""
    solutions, dev = _marked("test"), _marked("dev")
    asked = {
        "problems": Ref(f"{solutions.node}_problems"),
        "solutions": solutions,
        "policy": Ref("half"),
        "gold": True,
        "limit": 8,
    }
    scorers: dict[str, Any] = {
        "exact": "exact_steps",
        "even": "constant",
        "rolled": {"uses": "rollouts", "m": 2, "max_length": 64},
    }
    chosen = {"dev": {"problems": Ref(f"{dev.node}_problems"), "solutions": dev}}
    made = [
        make("evaluate_steps", **asked, scorers=scorers, by=["by"], **more) for more in ({}, {"threshold": 0.6}, chosen)
    ]
    return Settings(
        [
            rows(one, "policy", "problem_id", "accuracy", "answer", "tokens", "measures"),
            metrics(one, "first_errors", "thresholds", "by"),
        ]
        for one in made
    )
