"""`why`: which field or input changed the key of a stage since it last ran."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from launch.arguments import Subparsers, add_json, add_recipe, command, load, open_store, print_json

if TYPE_CHECKING:
    from reasoning_train.api.plan import Plan, StageNode
    from reasoning_train.store.store import Store

MORE = """\
Compares the stage with the artifact that it last had in a run of this recipe.

  reasoning-train why recipes/rejection_sampling/tiny.yaml sample
  reasoning-train why RECIPE eval --set stages.sample.n=16     what this change would make run again
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "why", run, "tell which field or input changed a stage's key", MORE)
    add_recipe(parser)
    parser.add_argument("stage", metavar="STAGE", help="a stage's name, as `plan` shows it")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    from data_gen.errors import UserError, nearest

    plan, store = load(arguments), open_store(arguments)
    if arguments.stage not in plan.nodes:
        raise UserError(f"STAGE: the recipe has no stage {arguments.stage!r}.{nearest(arguments.stage, plan.nodes)}")
    node = plan.nodes[arguments.stage]
    state = store.state(node, plan)
    shown, lines = "will run" if state == "absent" else state, list(_reasons(node, plan, store, state))
    if arguments.json:
        print_json({"name": node.name, "uses": node.uses, "key": node.key, "state": shown, "reasons": lines})
    else:
        print("\n  ".join([f"{node.name} ({node.uses}, key {node.key[:16]}): {shown}", *lines]))
    return 0


def _reasons(node: StageNode, plan: Plan, store: Store, state: str) -> Iterator[str]:
    from reasoning_train.recipe.why import explain
    from reasoning_train.store.manifest import read_manifest
    from reasoning_train.store.store import artifact_name

    artifact = store.find(node) if state == "stale" else None
    for name in store.changed_inputs(artifact, plan, node) if artifact else ():
        yield f"input {name} has since been made again with other bytes"
    if state == "cached":
        yield from _other_code(node, store)
        yield from _other_bars(node, store)
        return
    manifest = last_manifest(node, plan, store)
    if manifest is None:
        yield f"no earlier artifact of a {node.uses!r} stage of this recipe to compare with"
        return
    yield from explain(
        node, plan, manifest, lambda uses, key: read_manifest(store.artifacts / artifact_name(uses, key))
    )


def _other_code(node: StageNode, store: Store) -> Iterator[str]:
    from reasoning_train.store.code import other_code

    artifact = store.find(node)
    files = other_code(artifact.manifest["code"]) if artifact else []
    if artifact and files:
        commit, dirty = (artifact.manifest["code"].get(what) for what in ("commit", "dirty"))
        told = f" (commit {commit[:12]}{', with changes' if dirty else ''})" if commit else ""
        yield f"made by other code{told}; `run --fresh {node.name}` makes it again. Since then these files changed:"
        yield from (f"  {file}" for file in files)


def _other_bars(node: StageNode, store: Store) -> Iterator[str]:
    from reasoning_train.store.manifest import other_bars

    artifact = store.find(node)
    for bar in other_bars(node, artifact.manifest) if artifact else ():
        yield f"published under {bar}; `run --fresh {node.name}` checks the new bar"


def last_manifest(node: StageNode, plan: Plan, store: Store) -> dict[str, Any] | None:
    """Manifest of this node's latest artifact with a different key in a run of the recipe; None if there is none."""
    from launch.runs import list_runs, read_run
    from reasoning_train.store.manifest import read_manifest
    from reasoning_train.store.store import artifact_name

    for run_folder in reversed(list_runs(store, plan.name)):
        then = read_run(run_folder)["nodes"].get(node.name)
        if then and then["uses"] == node.uses and then["key"] != node.key:
            manifest = read_manifest(store.artifacts / artifact_name(then["uses"], then["key"]))
            if manifest is not None:
                return manifest
    return None
