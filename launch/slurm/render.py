"""Job scripts from their template. It writes nothing and calls nothing outside."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from launch.slurm.jobs import SlurmJob, ranges
from launch.slurm.profile import Cluster
from launch.slurm.request import JobRequest
from reasoning_train.api.plan import Plan

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
KEPT = ("PYTHONPATH", "REASONING_TRAIN_PLUGINS", "HF_HOME")
"""Variables of the submitter's environment that jobs always get, whatever the site's settings."""


def render(job: SlurmJob, plan: Plan, cluster: Cluster, store: Path, run: Path) -> str:
    """The text of a job's script. `run`: the folder of the run, which has `recipe.yaml`."""
    import jinja2

    for path in (Path.cwd(), store, run):
        if not str(path).isprintable() or '"' in str(path):
            raise UserError(
                f"{str(path)!r}: the options of a job cannot hold this path. Use a folder without quotation marks and "
                "control characters."
            )
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["q"] = shlex.quote
    return environment.get_template("job.sh.j2").render(**_values(job, plan, cluster, store, run))


def log_file(run: Path, job: str, index: int | str | None = None) -> Path:
    """The log of a job or of one task of its array. A requeued job appends to the same file."""
    return run / "logs" / f"{job}{'' if index is None else f'-{index}'}.log"


def record_file(run: Path, job: SlurmJob) -> Path:
    """The path of a job's record without `.jsonl`. Tasks of arrays add `.SHARD`."""
    return run / "jobs" / (f"{job.node}.shard" if job.part == "shards" else job.name)


def _values(job: SlurmJob, plan: Plan, cluster: Cluster, store: Path, run: Path) -> dict[str, Any]:
    request, node = job.request, plan.nodes.get(job.node)
    python = shlex.quote("python" if cluster.venv or cluster.container else sys.executable)
    what = f"Stage {job.node} ({node.uses}) of recipe {plan.name}" if node else f"The report of recipe {plan.name}"
    return {
        "title": re.sub(r"[^\w.:@+-]", "_", f"{plan.name}:{job.name}"),
        "log": log_file(Path(str(run).replace("%", "%%")), job.name, "%a" if job.part == "shards" else None),
        "folder": Path.cwd(),
        "options": list(_options(job, cluster)),
        "what": f"{what}{_part(job)}.",
        "record": str(record_file(run, job)),
        "array": job.part == "shards",
        "report": job.part == "report",
        "merge": job.part == "merge",
        "torchrun": request.kind == "train" and (request.world > 1 or bool(node and node.resources.get("deepspeed"))),
        "offset": job.offset,
        "shards": request.shards,
        "nodes": request.nodes,
        "processes": request.processes,
        "max_requeues": cluster.max_requeues,
        "setup": list(_setup(cluster, node.resources.get("threads") or 1 if node else 1, request)),
        "python": python,
        "host_python": "python" if cluster.venv else shlex.quote(sys.executable),
        "relay": f"{_inside(cluster)}{python} -m launch.relay {cluster.stop_signal}",
        "srun": " ".join(_srun(cluster, request)),
        "signal": cluster.stop_signal,
        "work_s": request.time_s - cluster.stop_before_s,
        "recipe": str(run / "recipe.yaml"),
        "stage": job.node,
        "key": node.key[:16] if node else "",
        "store": str(store),
        "run": str(run),
    }


def _part(job: SlurmJob) -> str:
    if job.part == "shards":
        return f", shards {ranges(tuple(job.offset + i for i in job.tasks))} of {job.request.shards}"
    return ", merging its shards" if job.part == "merge" else ""


def _options(job: SlurmJob, cluster: Cluster) -> Iterator[str]:
    request = job.request
    light = None if request.gpus else cluster.light_partition
    if partition := light or cluster.partition:
        yield f"--partition={partition}"
    for name in ("account",) if light else ("account", "qos", "constraint"):
        if value := getattr(cluster, name):
            yield f"--{name}={value}"
    yield f"--nodes={request.nodes}"
    yield "--ntasks-per-node=1"
    yield f"--cpus-per-task={request.cpus}"
    if request.gpus:
        yield f"--gres=gpu:{f'{cluster.gpu_type}:' if cluster.gpu_type else ''}{request.gpus}"
    if request.memory:
        yield f"--mem={request.memory}"
    yield f"--time={request.clock}"
    if job.part != "report":
        yield f"--signal={cluster.stop_signal}@{cluster.stop_before_s}"
    if job.part == "shards":
        yield f"--array={ranges(job.tasks)}{f'%{cluster.max_running}' if cluster.max_running else ''}"
    yield from cluster.sbatch


def _setup(cluster: Cluster, threads: int, request: JobRequest) -> Iterator[str]:
    """Shell lines: modules, environment, variables."""
    if cluster.modules:
        yield f"module load {' '.join(map(shlex.quote, cluster.modules))}"
    if cluster.venv:
        yield f"source {shlex.quote(f'{cluster.venv}/bin/activate')}"
    for name in OFFLINE if cluster.offline else ():
        yield f"export {name}=1"
    for name in KEPT:
        if value := os.environ.get(name):
            yield f"export {name}={shlex.quote(value)}"
    yield (
        f"export OMP_NUM_THREADS={threads} TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 "
        f"SRUN_CPUS_PER_TASK={request.cpus}"
    )
    for name, value in cluster.env.items():
        yield f"export {name}={shlex.quote(value)}"
    if cluster.scratch:
        yield f'export TMPDIR="{cluster.scratch}"'
        yield f'{"srun --ntasks-per-node=1 " if request.nodes > 1 else ""}mkdir -p "$TMPDIR"'
    yield from cluster.setup


def _srun(cluster: Cluster, request: JobRequest) -> Iterator[str]:
    yield f"--nodes={request.nodes}"
    yield f"--ntasks={request.nodes}"
    yield "--kill-on-bad-exit=1"
    box = cluster.container
    if box and box.runtime == "pyxis":
        yield shlex.quote(f"--container-image={box.image}")
        if box.mounts:
            yield shlex.quote(f"--container-mounts={','.join(box.mounts)}")
    yield from map(shlex.quote, cluster.srun)


def _inside(cluster: Cluster) -> str:
    box = cluster.container
    if box is None or box.runtime != "apptainer":
        return ""
    binds = "".join(f" --bind {shlex.quote(mount)}" for mount in box.mounts)
    return f"apptainer exec{' --nv' if cluster.gpus_per_node else ''}{binds} {shlex.quote(box.image)} "
