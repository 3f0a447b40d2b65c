"""Finds what no kept run of a store uses, and removes it: what was unused when it was listed may be in use by then."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_gen.errors import UserError
from launch.runs import list_runs, read_run, run_folders
from reasoning_train.store.locks import guard, live_owner
from reasoning_train.store.manifest import read_manifest
from reasoning_train.store.ownership import unclaimed
from reasoning_train.store.plan_json import find_plan
from reasoning_train.store.run_json import find_state
from reasoning_train.store.state_files import read_json
from reasoning_train.store.store import Store, artifact_name

PARTIAL = ".partial"


def find_garbage(store: Store, keep: int | None) -> list[Path]:
    """Folders of runs beyond the last `keep` of each recipe, of artifacts and progress that no other run uses, and of
    progress whose artifact is published.

    Artifacts that a living process has locked, and those that it reads, are left out. UserError if neither `run.json`
    nor `plan.json` of a run tells what it uses.
    """
    _require_readable(store)
    old = _old_runs(store, keep)
    names = _Uses(store, frozenset(old)).names()
    found = sorted(store.artifacts.glob("*"))
    unused = [path for path in found if not _locked(store, path) and not _used(store, path, names)]
    aside = [(store.root / "trash", "*"), (store.quarantine, "*"), (store.locks, "*.set-aside")]
    leftovers = [path for folder, pattern in aside for path in sorted(folder.glob(pattern))]
    return [*old, *unused, *leftovers]


def _require_readable(store: Store) -> None:
    """PermissionError if a run may be hidden: what it uses is not known, and would be taken for unused."""
    recipes = list(store.runs.iterdir()) if store.runs.is_dir() else []
    for run in (run for recipe in recipes if recipe.is_dir() for run in recipe.iterdir()):
        state = run / "run.json"
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISREG(state.stat().st_mode):  # a named pipe would be waited for
                state.open("rb").close()


def remove(store: Store, paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """Remove folders that `find_garbage` has listed; (folder, why it is kept after all, or "") for each.

    Each is looked at again: an artifact under its lock, so that nobody begins to work on it, and all under the guard
    under which runs register what they use.
    """
    old = frozenset(path for path in paths if path.is_relative_to(store.runs) and not _running(path))
    uses = _Uses(store, old)
    for path in paths:
        try:
            yield path, _remove(store, path, uses)
        except FileNotFoundError:
            yield path, ""  # somebody else has just removed it
        except PermissionError as error:
            yield path, f"it may not be removed ({error.strerror}: {error.filename})"


def _remove(store: Store, path: Path, uses: _Uses) -> str:
    if path.parent != store.artifacts:
        if path.is_relative_to(store.runs) and (path not in uses.old or _running(path)):
            return "it is running"
        if path.parent == store.root / "trash":
            store.delete(path)
        else:
            store.discard(path)
        return ""
    with unclaimed(store, path.name.removesuffix(PARTIAL)) as owner:
        if owner is not None:
            return f"{owner} works on it"
        with guard(store.runs / "any"):
            if _used(store, path, uses.names()):
                return "a run has taken it up meanwhile"
            trash = store.trashed(path)
    store.delete(trash)
    return ""


@dataclass
class _Uses:
    """What the runs of a store use, apart from the runs `old`, and what living processes read."""

    store: Store
    old: frozenset[Path]
    _names: dict[Path, set[str]] = field(default_factory=dict)
    """Run -> names of its artifacts, which never change."""
    _targets: dict[str, str] = field(default_factory=dict)
    """Published artifact -> the one that it passes on; empty if none."""

    def names(self) -> set[str]:
        """Names of all artifacts that are in use now."""
        for run in run_folders(self.store):
            if run not in self.old and run not in self._names:
                self._names[run] = set(_made(run))
        names = set[str]().union(*self._names.values(), self._read())
        return {one for name in names for one in self._with_targets(name)}

    def _with_targets(self, name: str) -> Iterator[str]:
        """An artifact's name and the names that its pass-throughs lead to."""
        while name:
            yield name
            if name not in self._targets:
                manifest = read_manifest(self.store.artifacts / name)
                if manifest is None:
                    return
                self._targets[name] = artifact_name(**manifest["pointer"]) if "pointer" in manifest else ""
            name = self._targets[name]

    def _read(self) -> Iterator[str]:
        """Artifacts that are inputs of what living processes work on."""
        for partial in self.store.artifacts.glob(f"*{PARTIAL}"):
            if _locked(self.store, partial):
                for key in _inputs(partial):
                    yield from (path.name for path in self.store.artifacts.glob(f"*-{key[:16]}"))


def _used(store: Store, path: Path, names: set[str]) -> bool:
    """Whether an artifact or progress is among the names of those in use. Progress of a published one is of no use."""
    return path.name.removesuffix(PARTIAL) in names and not (path.name.endswith(PARTIAL) and _published(store, path))


def _published(store: Store, partial: Path) -> bool:
    """Whether the artifact of a progress folder is published, made from the same inputs: its publisher was killed
    before it removed the folder. Progress from other inputs is that of making it again."""
    try:
        manifest = read_manifest(store.artifacts / partial.name.removesuffix(PARTIAL))
    except PermissionError:
        return False
    if manifest is None or "pointer" in manifest:
        return manifest is not None
    then = {entry["key"]: entry["digest"] for entry in manifest["inputs"].values()}
    return all(then.get(key) == digest for key, digest in _inputs(partial).items())


def _inputs(partial: Path) -> dict[str, str | None]:
    """Keys and digests of the inputs of progress."""
    return read_json(partial / "inputs.json", dict[str, str | None]) or {}


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


def _running(run: Path) -> bool:
    return find_state(run) is not None and read_run(run)["state"] == "running"


def _locked(store: Store, path: Path) -> bool:
    return any(live_owner(lock) for lock in store.locks.glob(f"{path.name.removesuffix(PARTIAL)}.*lock"))


def size_of(folder: Path) -> int:
    """Bytes of all files of a folder, without those that vanish meanwhile or may not be looked at."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total
