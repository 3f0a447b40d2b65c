"""Every shipped recipe on every shipped profile gives scripts that bash accepts."""

from __future__ import annotations

import json
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from launch.slurm import scheduler, submit
from launch.slurm.feasible import check
from launch.slurm.jobs import make_jobs, waits_for
from launch.slurm.profile import load_cluster
from launch.slurm.request import make_requests
from launch.slurm.submit import dry_run, scripts, submit_line, variable
from reasoning_train.api.plan import Plan
from reasoning_train.process.plugins import import_plugins
from reasoning_train.recipe.load import load_plan
from reasoning_train.store.estimate import estimate_plan
from reasoning_train.store.store import Store
from tests.launch.harness import ROOT

RECIPES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes").glob("*/*.yaml"))
PROFILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "configs" / "clusters").glob("*.yaml"))
BENCHMARKS = ("counting", "gaokao2023en", "mmlu_stem", "procbench", "svamp")
GSM8K = [f"tasks.{name}.paths.{split}={{0}}" for name in ("gsm8k", "gsm8k_shots") for split in ("train", "test")]
DATA = {
    "recipes/rejection_sampling/smollm.yaml": ["task.path={0}"],
    "recipes/benchmarks/smollm.yaml": [*GSM8K, *(f"tasks.{name}.path={{0}}" for name in BENCHMARKS)],
}
"""Recipes that want files of the user's."""


def made_row(i: int) -> dict[str, Any]:
    """A row with the columns of all these recipes' tasks."""
    asked = {"input": f"{i} + 1?", "target": i + 1, "question": f"{i} + 1?", "answer": f"Add.\n#### {i + 1}"}
    svamp = {"Body": "Ana adds.", "Question": f"{i} + 1?", "Answer": i + 1, "ID": f"s{i}", "Type": "Addition"}
    states = {"label": {"intermediate": [], "final": str(i)}, "problem_name": f"p{i}", "task_name": "add"}
    return {**asked, **svamp, "prompt": f"{i}?", **states, "choices": ["1", "2"], "type": "algebra"}


def plan_of(recipe: str, tmp_path: Path) -> Plan:
    import_plugins()
    file = tmp_path / "problems.jsonl"
    rows = map(made_row, range(328))  # as many as configs/tasks/multiarith.yaml deals
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_plan(ROOT / recipe, [setting.format(file) for setting in DATA.get(recipe, [])])


@pytest.mark.parametrize(("recipe", "profile"), product(RECIPES, PROFILES))
def test_scripts_are_accepted_by_bash(recipe: str, profile: str, tmp_path: Path) -> None:
    plan, store, cluster = plan_of(recipe, tmp_path), Store(tmp_path / "store"), load_cluster(ROOT / profile)
    requests = make_requests(plan, cluster, estimate_plan(plan, store))
    made = dry_run(plan, store, cluster, requests)
    written = list(scripts(plan, store, cluster, made.jobs, made.folder))
    text = "\n".join(["set -u", *(submit_line(job, made.folder) for job in made.jobs)])
    for name, script in [*written, ("the lines of the dry run", text)]:
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}\n{script}"
        assert "{{" not in script and "None" not in script
    assert not (tmp_path / "store").exists(), "a dry run writes nothing"
    assert len({name for name, _ in written}) == len(written)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name.endswith("full.yaml")])
def test_full_recipes_fit_the_gpu_profile(recipe: str, tmp_path: Path) -> None:
    """With the sizes that are known before anything is fetched, and with those of 7B models: trainers get a whole node,
    engines a GPU."""
    plan, store, cluster = (
        plan_of(recipe, tmp_path),
        Store(tmp_path / "store"),
        load_cluster(ROOT / "configs/clusters/gpu.yaml"),
    )
    estimates = estimate_plan(plan, store)
    for known in (estimates, {name: {**one, "parameters": 7_600_000_000} for name, one in estimates.items()}):
        requests = make_requests(plan, cluster, known)
        check(plan, store, cluster, requests, known)
        asked = {(request.kind, request.nodes, request.gpus) for request in requests.values()}
        assert {each for each in asked if each[0] in ("train", "generate")} <= {
            ("train", 1, 8),
            ("train", 2, 8),
            ("generate", 1, 1),
        }
        assert {gpus for kind, _, gpus in asked if kind == "light"} == {0}


def test_a_model_that_no_node_holds_is_told(tmp_path: Path) -> None:
    plan, store, cluster = (
        plan_of("recipes/prm/full.yaml", tmp_path),
        Store(tmp_path / "s"),
        load_cluster(ROOT / "configs/clusters/gpu.yaml"),
    )
    known = {name: {**one, "parameters": 70_000_000_000} for name, one in estimate_plan(plan, store).items()}
    with pytest.raises(
        UserError, match=r"(?s)trees: 70.0B .*`tensor_parallel`.*measured: 70.0B .* GiB.*use a smaller model"
    ):
        check(plan, store, cluster, make_requests(plan, cluster, known), known)


def test_a_data_stage_becomes_arrays_within_the_limit_and_a_merge(tmp_path: Path) -> None:
    plan, cluster = (
        plan_of("recipes/rejection_sampling/tiny.yaml", tmp_path),
        load_cluster(ROOT / "configs/clusters/cpu.yaml"),
    )
    cluster = cluster.model_copy(update={"max_array": 30, "max_running": 7})
    store = Store(tmp_path / "store")
    requests = make_requests(plan, cluster, estimate_plan(plan, store))
    assert requests["sample"].shards == 64
    jobs = {job.name: job for job in make_jobs(plan, store, cluster, requests, {})}
    arrays = [job for job in jobs.values() if job.node == "sample" and job.part == "shards"]
    assert [(job.offset, len(job.tasks)) for job in arrays] == [(0, 30), (30, 30), (60, 4)]
    assert jobs["sample.merge"].needs == ("sample.shards+0", "sample.shards+30", "sample.shards+60")
    assert jobs["kept"].needs == ("sample.merge",)
    assert jobs["run.report"].needs == tuple(name for name in jobs if name != "run.report")
    texts = dict(scripts(plan, store, cluster, list(jobs.values()), tmp_path))
    assert "#SBATCH --array=0-29%7" in texts["sample.shards+30"]
    assert '--shard "$((SLURM_ARRAY_TASK_ID + 30))/64"' in texts["sample.shards+30"]
    assert "--merge-only" in texts["sample.merge"]


def test_what_a_profile_says_stands_in_the_script(tmp_path: Path) -> None:
    profile = tmp_path / "site.yaml"
    profile.write_text(
        "partition: long\naccount: proj\nqos: high\ngpus_per_node: 4\ngpu_type: a100\ncpus_per_node: "
        "32\nmemory_per_node_gib: 400\n"
        "modules: [cuda/12]\nvenv: /envs/rt\nscratch: /scratch/$USER/$SLURM_JOB_ID\nsetup: ['ulimit -n 65536']\n"
        'env: {NOTE: "it\'s; rm -rf"}\nsbatch: [--reservation=talk]\nsrun: [--mpi=none]\nstop_signal: '
        "USR1\nstop_before_s: 77\n",
        encoding="utf-8",
    )
    plan, cluster, store = (
        plan_of("recipes/rejection_sampling/tiny.yaml", tmp_path),
        load_cluster(profile),
        Store(tmp_path / "store"),
    )
    made = dry_run(plan, store, cluster, make_requests(plan, cluster, estimate_plan(plan, store)))
    text = dict(scripts(plan, store, cluster, made.jobs, made.folder))["tuned"]
    for line in (
        "#SBATCH --partition=long",
        "#SBATCH --account=proj",
        "#SBATCH --qos=high",
        "#SBATCH --gres=gpu:a100:1",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=100G",
        "#SBATCH --reservation=talk",
        "#SBATCH --signal=USR1@77",
        "module load cuda/12",
        "source /envs/rt/bin/activate",
        'export TMPDIR="/scratch/$USER/$SLURM_JOB_ID"',
        "ulimit -n 65536",
        "export NOTE='it'\"'\"'s; rm -rf'",
        "export HF_HUB_OFFLINE=1",
        "srun --nodes=1 --ntasks=1 --kill-on-bad-exit=1 --mpi=none python -m launch.relay USR1 python",
    ):
        assert line in text, f"{line}\n{text}"


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        ("pyxis", "--container-image=/i.sqsh --container-mounts=/data:/data python -m launch.relay"),
        ("apptainer", "apptainer exec --nv --bind /data:/data /i.sqsh python -m launch.relay"),
    ],
)
def test_containers(runtime: str, said: str, tmp_path: Path) -> None:
    profile = tmp_path / "site.yaml"
    profile.write_text(
        f"gpus_per_node: 1\ncontainer: {{image: /i.sqsh, mounts: ['/data:/data'], runtime: {runtime}}}\n",
        encoding="utf-8",
    )
    plan, cluster, store = (
        plan_of("recipes/rejection_sampling/tiny.yaml", tmp_path),
        load_cluster(profile),
        Store(tmp_path / "store"),
    )
    made = dry_run(plan, store, cluster, make_requests(plan, cluster, estimate_plan(plan, store)))
    assert said in dict(scripts(plan, store, cluster, made.jobs, made.folder))["tuned"]


def test_jobs_that_need_no_gpu_may_have_a_partition_of_their_own(tmp_path: Path) -> None:
    plan, store = plan_of("recipes/prm/full.yaml", tmp_path), Store(tmp_path / "store")
    cluster = load_cluster(ROOT / "configs/clusters/gpu.yaml").model_copy(update={"light_partition": "cpu"})
    made = dry_run(plan, store, cluster, make_requests(plan, cluster, estimate_plan(plan, store)))
    found = dict(scripts(plan, store, cluster, made.jobs, made.folder))
    light = {name for name, text in found.items() if "#SBATCH --partition=cpu\n" in text}
    assert (
        light == {name for name, text in found.items() if "--gres" not in text}
        and {"labels", "trees.merge", "run.report"} <= light
    )
    assert all("#SBATCH --partition=gpu\n" in text for name, text in found.items() if name not in light)


def test_a_dry_run_waits_for_what_is_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `submit` would; and no two jobs share a variable of the shell."""
    plan, cluster, store = (
        plan_of("recipes/rejection_sampling/tiny.yaml", tmp_path),
        load_cluster(ROOT / PROFILES[0]),
        Store(tmp_path / "s"),
    )
    monkeypatch.setattr(submit, "_ask_slurm", lambda plan, store, cluster: (cluster, {"base": "41"}))
    made = dry_run(plan, store, cluster, make_requests(plan, cluster, estimate_plan(plan, store)))
    lines = {job.name: submit_line(job, made.folder, waits_for(job, plan, made.others)) for job in made.jobs}
    assert "base" not in lines and "--dependency=afterok:41 " in lines["tuned"].replace(
        "afterok:$job_kept:", "afterok:"
    )
    assert len({variable(name) for name in ("a-b", "a_b", "a.b", "a__b", "a_2d_b")}) == 5


def test_a_dry_run_says_that_slurm_did_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(command: list[str]) -> str:
        raise UserError(f"`{command[0]}` did not answer")

    monkeypatch.setattr(scheduler, "_run", dead)
    plan, cluster, store = (
        plan_of("recipes/rejection_sampling/tiny.yaml", tmp_path),
        load_cluster(ROOT / PROFILES[0]),
        Store(tmp_path / "s"),
    )
    made = dry_run(plan, store, cluster, make_requests(plan, cluster, estimate_plan(plan, store)))
    assert made.queue_error == "`scontrol` did not answer" and {"base", "sample.merge"} <= {
        job.name for job in made.jobs
    }


def test_only_shards_that_are_missing_are_submitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasoning_train.store.partial import Attempts, Partial

    plan, cluster = (
        plan_of("recipes/rejection_sampling/tiny.yaml", tmp_path),
        load_cluster(ROOT / "configs/clusters/cpu.yaml"),
    )
    store = Store(tmp_path / "store")
    requests = make_requests(plan, cluster, estimate_plan(plan, store))
    store.partial(plan.nodes["sample"]).mkdir(parents=True)
    partial = Partial(store.partial(plan.nodes["sample"]))
    for k in set(range(64)) - {3, 4, 40, 63}:
        partial.save((k, 64), Attempts(number=1, done=True))
    partial.save((40, 64), Attempts(number=2, done=False))
    limited = cluster.model_copy(update={"max_array": 30})
    [array] = [
        job for job in make_jobs(plan, store, cluster, requests, {}) if job.node == "sample" and job.part == "shards"
    ]
    assert array.tasks == tuple(range(64)), "what it was made from is missing, and may come out with other bytes"
    monkeypatch.setattr(Store, "state", lambda self, node, plan: "partial" if node.name == "sample" else "cached")
    arrays = [
        job for job in make_jobs(plan, store, limited, requests, {}) if job.node == "sample" and job.part == "shards"
    ]
    assert [(job.offset, job.tasks) for job in arrays] == [(0, (3, 4)), (30, (10,)), (60, (3,))]
    text = dict(scripts(plan, store, limited, arrays, tmp_path))["sample.shards+0"]
    assert "#SBATCH --array=3-4%200" in text and "shards 3-4 of 64" in text
    for k in (3, 4, 40, 63):
        partial.save((k, 64), Attempts(number=1, done=True))
    assert [job.part for job in make_jobs(plan, store, cluster, requests, {}) if job.node == "sample"] == ["whole"]


def test_templates_are_installed_with_their_packages() -> None:
    import tomllib

    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    packages = {
        path.relative_to(ROOT).parts[0] for path in ROOT.glob("*/**/*.j2") if path.relative_to(ROOT).parts[0] != ".venv"
    }
    assert packages == {"launch", "reasoning_train"} and all(data[name] == ["**/*.j2"] for name in packages)
