"""`plan`: the graph of a recipe, what is finished, what would run and its maximum cost."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.arguments import (
    Subparsers,
    add_cluster,
    add_json,
    add_recipe,
    command,
    load,
    open_store,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from reasoning_train.api.plan import Plan, StageNode
    from reasoning_train.store.store import Store

MORE = """\
States: cached (finished and reused), stale (finished, but an input was made again with other bytes), partial (will be
resumed), damaged (files are missing or torn: set aside and made again), will run. `made by other code` makes nothing
again by itself: `why` names the files, `run --fresh STAGE` makes it again. `published under min_rows=1 (now 50)`: the
artifact was checked against another bar than the recipe's; `run --fresh STAGE` checks again. Tokens and calls are upper
limits for what would run now.

  reasoning-train plan RECIPE                  the table
  reasoning-train plan RECIPE --resolved       every field with the place that it comes from
  reasoning-train plan RECIPE --cluster FILE    what its jobs would ask for, rough GPU-hours, and what cannot work
  reasoning-train plan RECIPE --json | jq .
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "plan", run, "show the graph of a recipe and what a run would do", MORE)
    add_recipe(parser)
    add_cluster(parser, required=False)
    parser.add_argument("--resolved", action="store_true", help="print the merged recipe, each value with its origin")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    from launch.commands.fetch import missing

    plan, store = load(arguments), open_store(arguments)
    if arguments.resolved:
        _print_resolved(plan, as_json=arguments.json)
        return 0
    lines = describe(plan, store)
    if arguments.cluster:
        _place(plan, store, arguments.cluster, lines)
    if arguments.json:
        print_json({"recipe": plan.name, "nodes": lines})
        return 0
    _print_lines(plan, lines)
    if arguments.cluster:
        _print_jobs(lines)
    elif any(line["state"] != "cached" for line in lines):
        print("".join(f"{line}\n" for line in missing(arguments)), end="")
    return 0


def _place(plan: Plan, store: Store, profile: Path, lines: list[dict[str, Any]]) -> None:
    """Add to each line what its jobs would request. UserError for what cannot work."""
    from dataclasses import asdict

    from launch.slurm.feasible import check
    from launch.slurm.profile import load_cluster
    from launch.slurm.request import gpu_hours, make_requests, parameters_of

    cluster, estimates = load_cluster(profile), {line["name"]: line["estimate"] for line in lines}
    requests = make_requests(plan, cluster, estimates)
    check(plan, store, cluster, requests, estimates)
    for line in lines:
        node, request = plan.nodes[line["name"]], requests[line["name"]]
        hours = gpu_hours(request, cluster, line["estimate"], parameters_of(node, estimates))
        line["request"] = {**asdict(request), "gpu_hours": hours}


def _print_jobs(lines: list[dict[str, Any]]) -> None:
    asked = [line for line in lines if line["state"] != "cached"]
    rows = [[line["name"], *_request_cells(line["request"])] for line in asked]
    print()
    print_table(
        ["stage", "kind", "shards", "nodes", "processes", "gpus", "cpus", "memory", "limit", "GPU-hours ~"], rows
    )
    print(gpu_hours_line([line["request"]["gpu_hours"] for line in _per_artifact(asked) if line["request"]["gpus"]]))


def gpu_hours_line(hours: list[float | None]) -> str:
    """The sum over stages on GPUs. None stands for a stage whose data or model is not known yet."""
    known = [one for one in hours if one is not None]
    if not hours:
        return "no stage asks for a GPU"
    if not known:
        return "GPU-hours are not known yet: they depend on data and models that are not here"
    unknown, stages = len(hours) - len(known), "1 stage" if len(known) == 1 else f"{len(known)} stages"
    rest = f"; {unknown} more {'is' if unknown == 1 else 'are'} not known yet" if unknown else ""
    return (
        f"about {sum(known):,.1f} GPU-hours for {stages} (operations to the token limits, at an assumed share of the "
        f"GPU's peak){rest}"
    )


def _request_cells(request: dict[str, Any]) -> list[str]:
    hours, limit = request["gpu_hours"], f"{request['time_s'] / 3600:g} h"
    counts = [str(request[what]) for what in ("shards", "nodes", "processes", "gpus", "cpus")]
    shown = "" if not request["gpus"] else "?" if hours is None else f"{hours:,.1f}"
    return [request["kind"], *counts, request["memory"] or "", limit, shown]


def describe(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """One entry per node: name, uses, key, inputs, state, finished records, and the estimate if it would run."""
    from reasoning_train.store.estimate import estimate_plan

    estimates = estimate_plan(plan, store)
    states = {name: store.state(node, plan) for name, node in plan.nodes.items()}
    return [_entry(node, states[node.name], store, estimates[node.name]) for node in plan.nodes.values()]


def _entry(node: StageNode, state: str, store: Store, estimate: dict[str, Any]) -> dict[str, Any]:
    from reasoning_train.store.code import other_code
    from reasoning_train.store.manifest import other_bars
    from reasoning_train.store.partial import Partial

    shown = "will run" if state == "absent" else state
    entry: dict[str, Any] = {
        "name": node.name,
        "uses": node.uses,
        "key": node.key,
        "inputs": list(node.inputs),
        "origin": node.origin,
        "state": shown,
    }
    if state == "partial":
        entry |= Partial(store.partial(node)).reached()
    if state == "cached" and (artifact := store.find(node)):
        entry["other_code"] = other_code(artifact.manifest["code"])
        entry["other_bars"] = other_bars(node, artifact.manifest)
    return {**entry, "estimate": estimate}


def _print_lines(plan: Plan, lines: list[dict[str, Any]]) -> None:
    rows = [[line["name"], line["uses"], _state(line), *_costs(line), ", ".join(line["inputs"])] for line in lines]
    print_table(
        ["stage", "uses", "state", "tokens <=", "calls <=", "memory ~", "made from"],
        rows,
        f"recipe {plan.name} ({plan.path})",
    )
    artifacts = _per_artifact(lines)
    pending = [line for line in artifacts if line["state"] != "cached"]
    tokens, calls = (sum(int(line["estimate"].get(what) or 0) for line in pending) for what in ("tokens", "calls"))
    unknown = [line["name"] for line in pending if _unknown(line)]
    beside = f", and what {', '.join(unknown)} will need, which is not known yet" if unknown else ""
    shared = f" ({len(artifacts)} artifacts)" if len(artifacts) < len(lines) else ""
    print(
        f"{len(lines)} stages{shared}, {len(pending)} to run; at most {tokens:,} generated tokens in {calls:,} calls"
        f"{beside}"
    )
    for note in dict.fromkeys(note for node in plan.nodes.values() for note in node.notes):
        print(f"note: {note}")


def _per_artifact(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each artifact. Stages that ask for the same thing share an artifact, which is made once."""
    return list({line["key"]: line for line in lines}.values())


def _state(line: dict[str, Any]) -> str:
    if line["state"] != "partial":
        under = f"published under {', '.join(bars)}" if (bars := line.get("other_bars")) else ""
        return ", ".join(filter(None, [line["state"], "made by other code" if line.get("other_code") else "", under]))
    if "step" in line:
        return f"partial (step {line['step']})"
    if not line["records"]:
        return "partial"
    total = line["estimate"].get("records")
    return f"partial ({line['records']}{f' of {total}' if total else ''} records)"


def _costs(line: dict[str, Any]) -> list[str]:
    if line["state"] == "cached":
        return ["", "", ""]
    estimate, unknown = line["estimate"], "?" if _unknown(line) else ""
    memory = estimate.get("memory_bytes")
    counts = [f"{estimate[what]:,}" if estimate.get(what) is not None else unknown for what in ("tokens", "calls")]
    return [*counts, f"{memory / 2**20:,.0f} MiB" if memory else ""]


def _unknown(line: dict[str, Any]) -> bool:
    """Whether a stage generates an amount that is not known yet, because its problems have not been read."""
    from reasoning_train.api.stage import STAGES

    return "tokens" not in line["estimate"] and "engine" in STAGES.get(line["uses"]).config.model_fields


def _print_resolved(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json({"resolved": plan.resolved, "origins": plan.origins})
        return
    for path, value in _leaves("", plan.resolved):
        print(f"{path} = {value!r}".ljust(70), f"# {plan.origins.get(path, '')}".rstrip("# "))


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(f"{path}.{key}" if path else str(key), item)]
    return [(path, value)]
