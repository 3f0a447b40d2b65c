"""Finds what no kept run of a store uses."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from data_gen.errors import UserError
from launch.runs import list_runs, read_run, run_folders
from reasoning_train.store.locks import live_owner
from reasoning_train.store.manifest import read_manifest
from reasoning_train.store.plan_json import find_plan
from reasoning_train.store.run_json import find_state
from reasoning_train.store.store import Store, artifact_name


def find_garbage(store: Store, keep: int | None) -> list[Path]:
    """Folders of runs beyond the last `keep` of each recipe, and of artifacts and progress that no other run uses.

    Artifacts that a living process has locked are left out. UserError if neither `run.json` nor `plan.json` of a run
    tells what it uses.
    """
    old = _old_runs(store, keep)
    reached = _reached(store, [run for run in run_folders(store) if run not in old])
    unreached = [
        path for path in sorted(store.artifacts.glob("*")) if path.name.removesuffix(".partial") not in reached
    ]
    leftovers = [*sorted((store.root / "trash").glob("*")), *sorted(store.quarantine.glob("*"))]
    return [*old, *(path for path in unreached if not _locked(store, path)), *leftovers]


def _old_runs(store: Store, keep: int | None) -> list[Path]:
    if keep is None:
        return []
    by_recipe: dict[str, list[Path]] = defaultdict(list)
    for run in list_runs(store):
        by_recipe[run.parent.name].append(run)
    return [
        run
        for runs in by_recipe.values()
        for run in runs[: max(0, len(runs) - keep)]
        if read_run(run)["state"] != "running"
    ]


def _reached(store: Store, runs: list[Path]) -> set[str]:
    return {name for run in runs for made in _made(run) for name in _with_targets(store, made)}


def _made(run: Path) -> list[str]:
    """Names of the artifacts of a run. Its plan names them, too, if its state is damaged."""
    if state := find_state(run):
        return [artifact_name(node["uses"], node["key"]) for node in state["nodes"].values()]
    if plan := find_plan(run / "plan.json"):
        return [artifact_name(node.uses, node.key) for node in plan.nodes.values()]
    raise UserError(
        f"{run}: run.json and plan.json are both damaged, so what this run uses is not known and nothing is listed. "
        f"Remove the folder (rm -r {run}) if its artifacts may go."
    )


def _with_targets(store: Store, name: str) -> set[str]:
    """An artifact's name and the names that its pass-throughs lead to."""
    names = {name}
    while (manifest := read_manifest(store.artifacts / name)) and "pointer" in manifest:
        name = artifact_name(**manifest["pointer"])
        names.add(name)
    return names


def _locked(store: Store, path: Path) -> bool:
    return any(live_owner(lock) for lock in store.locks.glob(f"{path.name.removesuffix('.partial')}.*lock"))


def size_of(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
