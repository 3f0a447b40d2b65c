"""The verdicts of a run as a small file of its own, `recipes/NAME/result.json`, from which the matrix of methods in
`recipes/README.md` is written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen.errors import UserError, first_line
from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.api.plan import Plan
from reasoning_train.evaluation.report.gather import StageView, per_artifact, run_views
from reasoning_train.store.plan_json import read_plan
from reasoning_train.store.run_json import read_state
from reasoning_train.store.state_files import write_text
from reasoning_train.store.store import Store


def write_result(run_dir: Path, store: Store, path: Path) -> None:
    """Write a run's verdicts into `path`, in place of those that the file has of the same recipe.

    UserError if the run made no claim, or if the file cannot be read or written.
    """
    plan, state = read_plan(run_dir / "plan.json"), read_state(run_dir)
    result = run_result(plan, state, run_views(plan, state, store))
    if not result["claims"]:
        raise UserError(f"{run_dir}: no stage `claim` has finished in this run, so there is no verdict to write.")
    others = [one for one in read_results(path) if one["recipe"] != plan.name] if path.exists() else []
    try:
        write_text(path, json.dumps([*others, result], indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({first_line(error)}).") from error


def read_results(path: Path) -> list[dict[str, Any]]:
    """The results in a file that `write_result` wrote, one a recipe. UserError if it is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the file cannot be read ({first_line(error)}).") from None
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and {"recipe", "claims"} <= set(one) for one in found
    ):
        raise UserError(
            f"{path}: expected a list of results with `recipe` and `claims`, as `reasoning-train report RUN --result "
            "FILE` writes it."
        )
    return found


def run_result(plan: Plan, state: Mapping[str, Any], views: Sequence[StageView]) -> dict[str, Any]:
    """A run's verdicts with what it takes to get them again.

    `effect` and `interval` are those of the first comparison that is claimed, in units of its metric: 0.02 is two
    points of an accuracy.
    """
    return {
        "recipe": plan.name,
        "command": _command(plan, state["command"]),
        "date": state["started"][:10],
        "commit": next((view.manifest["code"].get("commit") for view in views if view.uses == "claim"), None),
        "minutes": round(sum(view.manifest.get("wall_s", 0) for view in per_artifact(views)) / 60, 1),
        "claims": list(_claims(plan, views)),
    }


def _claims(plan: Plan, views: Sequence[StageView]) -> Iterator[dict[str, Any]]:
    for view in views:
        if view.uses != "claim" or not view.manifest:
            continue
        config, found = plan.nodes[view.name].config, view.manifest["metrics"]
        first = next(one for one in found["comparisons"] if one["claim"])
        yield {
            "stage": view.name,
            "method": config.get("method") or plan.resolved.get("paper") or plan.name,
            "claim": config.get("says") or plan.resolved.get("description") or "",
            "control": config["form"].get("control"),
            "verdict": found["verdict"],
            "effect": first["estimate"][0],
            "interval": first["estimate"][1:],
            "seeds": found["seeds"],
            "problems": found["problems"],
            "comparisons": _cells(view.manifest["metrics"]["table"]),
        }


def _cells(table: Mapping[str, Any]) -> list[dict[str, str]]:
    """The comparisons as the verdict's table words them, without the column of each seed."""
    named = [dict(zip(table["columns"], map(str, row), strict=True)) for row in table["rows"]]
    return [{name: said for name, said in row.items() if name != "each seed"} for row in named]


def _command(plan: Plan, words: Sequence[str]) -> str:
    """The command of a run, without the places of this machine: its recipe and what was `--set`."""
    path = Path(plan.path).resolve()
    shown = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else Path(path.name)
    values = [value for word, value in itertools.pairwise(words) if word == "--set"]
    values += [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    return " ".join(["reasoning-train run", shown.as_posix(), *(f"--set {value}" for value in values)])
