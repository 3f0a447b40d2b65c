"""Mistakes in a profile, and what a plan asks of a cluster that it cannot have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from launch.cli import main
from launch.slurm.feasible import check
from launch.slurm.profile import Cluster, load_cluster
from launch.slurm.request import JobRequest, gpu_hours, held_bytes, make_requests, seconds, usable_bytes
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.process.memory import GIB
from reasoning_train.process.plugins import import_plugins
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.load import load_plan
from reasoning_train.store.estimate import estimate_plan
from reasoning_train.store.store import Store
from tests.launch.harness import ROOT

GPU = Cluster(
    gpus_per_node=8,
    gpu_memory_gib=80,
    cpus_per_node=96,
    memory_per_node_gib=1000,
    max_nodes=4,
    max_time="48:00:00",
    shards=16,
)
RECIPE = """
name: large
model: {hub: nobody/model-7b-instruct, format: {template: chat}}
task: {uses: chain, train: 100, explore: 1000, dev: 10, test: 10}
stages:
  sample: {uses: sample, policy: "${model}", problems: "${task.explore}", n: 4, max_tokens: 500, engine: {uses: vllm}}
  tuned: {uses: sft, policy: "${model}", data: "${stages.sample}", learning_rate: 1e-5, epochs: 2, max_length: 1000,
          resources: {deepspeed: zero3}}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "profile.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("partion: gpu", "partion: unknown key 'partion' of a cluster's profile. Did you mean 'partition'?"),
        ("gpus_per_node: eight", "gpus_per_node: expected"),
        ("time: 90", "time: expected a string"),
        ("time: 1h", "time:"),
        ("sbatch: [reservation=x]", "expected options such as `--reservation=NAME`, got 'reservation=x'"),
        ("venv: /e\ncontainer: {image: /i}", "give `venv` or `container`, not both"),
        ("stop_signal: KILL", "stop_signal: expected"),
    ],
)
def test_a_wrong_parameter_is_explained(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        load_cluster(written(tmp_path, text))
    assert said in str(error.value) and "profile.yaml:" in str(error.value)


def test_an_unknown_parameter_is_answered_with_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        load_cluster(written(tmp_path, "queue: gpu"))
    for name in Cluster.model_fields:
        assert f"\n  {name}:" in str(error.value)
    assert "  time: 24:00:00" in str(error.value)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"there is no file .*gpus\.yaml.* Shipped: configs/clusters/cpu\.yaml, configs/clusters/gpu"
    ):
        load_cluster(tmp_path / "gpus.yaml")


def large(tmp_path: Path, *sets: str) -> tuple[Plan, Store]:
    path = tmp_path / "large.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return load_plan(path, sets), Store(tmp_path / "store")


def requests_of(plan: Plan, store: Store, cluster: Cluster = GPU) -> dict[str, JobRequest]:
    return make_requests(plan, cluster, estimate_plan(plan, store))


def test_defaults_by_the_size_of_the_model(tmp_path: Path) -> None:
    """7B: a GPU a sampler. Training takes 18 bytes a weight, 117 GiB, which eight GPUs hold."""
    made = requests_of(*large(tmp_path))
    assert made["sample"] == JobRequest(kind="generate", shards=16, gpus=1, cpus=12, memory="125G", time_s=86400)
    assert made["tuned"] == JobRequest(
        kind="train", nodes=1, processes=8, gpus=8, cpus=96, memory="1000G", time_s=86400
    )
    assert made["task.explore"].gpus == 0
    assert requests_of(*large(tmp_path, "model.hub=nobody/model-72b"))["tuned"].nodes == 3  # 1,207 GiB over 8 x 64
    assert requests_of(*large(tmp_path, "model.hub=nobody/model-72b"))["tuned"].world == 24
    assert requests_of(*large(tmp_path, "stages.sample.engine.tensor_parallel=4"))["sample"].gpus == 4


@pytest.mark.parametrize(
    ("uses", "more", "deepspeed", "held"),
    [
        ("dpo", {}, None, 18),  # moments 8, gradient 4, weight 4, copy 2
        ("dpo", {"precision": "float32"}, None, 16),
        ("dpo", {}, "zero0", 18),
        ("dpo", {}, "zero1", 12 / 8 + 4 + 4 + 2),  # and DeepSpeed's copy of the weights that it updates
        ("dpo", {}, "zero2", 12 / 8 + 4 / 8 + 4 + 2),
        ("dpo", {}, "zero3", 20 / 8 + 2),
        ("dpo", {"gradient_checkpointing": True}, "zero3", 20 / 8),
        ("dpo", {"lora": {}}, None, 2),
        ("dpo", {"lora": {}, "precision": "float32"}, None, 4),
        ("dpo", {"lora": {"bits": 4}}, None, 0.5),
        ("dpo", {"lora": {}}, "zero3", 2 + 4 / 8),
        ("grpo", {}, None, 18 + 6),
        ("grpo", {"beta": 0}, None, 18),
        ("grpo", {}, "zero2", 12 / 8 + 2 / 8 + 2 + 2),
        ("grpo", {"precision": "float32"}, "zero2", 12 / 8 + 4 / 8 + 4 + 4),
        ("grpo", {"precision": "float32"}, None, 16 + 4),
        ("grpo", {"lora": {}}, None, 2),
        ("grpo", {"vllm": {}}, None, 18 + 6),
        ("grpo", {"vllm": {}, "lora": {}}, None, 4 + 2),
        ("reference", {}, None, 6),
        ("sample", {}, None, 2),
    ],
)
def test_what_a_weight_takes_on_each_of_eight_gpus(
    uses: str, more: dict[str, Any], deepspeed: str | None, held: float
) -> None:
    import_plugins()
    given: dict[str, dict[str, Any]] = {"pairs": {"pairs": Ref("p")}, "problems": {"problems": Ref("q")}}
    config = {"policy": Ref("m"), **given["pairs" if uses in ("dpo", "reference") else "problems"], **more}
    config |= {"learning_rate": 1e-6} if uses in ("dpo", "grpo") else {}
    resources = {"deepspeed": deepspeed} if deepspeed else {}
    node = StageNode(name="x", uses=uses, version=1, config=config, seed=0, key="k", inputs=(), resources=resources)
    assert held_bytes(node, 1000, world=8) == pytest.approx(1000 * held)


def test_a_vllm_beside_the_trainer_takes_its_share_of_each_gpu() -> None:
    """0.8 of a GPU are for weights and states, less 0.3, or as much as the recipe says."""
    import_plugins()
    server = {"mode": "server", "base_url": "http://localhost:8000/v1"}
    for vllm, usable in ((None, 64), ({}, 40), ({"memory": 0.5}, 24), ({"memory": 0.9}, 0), (server, 64)):
        config = {"policy": Ref("m"), "problems": Ref("q"), "learning_rate": 1e-6, "vllm": vllm}
        node = StageNode(name="x", uses="grpo", version=1, config=config, seed=0, key="k", inputs=(), resources={})
        assert usable_bytes(node, GPU) == pytest.approx(usable * GIB)


def test_gpu_hours_by_hand(tmp_path: Path) -> None:
    """Sampling: 2 x 7e9 operations on each of 1,000 x 4 x 500 tokens; training: 6 x 7e9 on 4,000 x 2 rows of 1,000."""
    plan, store = large(tmp_path)
    estimates, made = estimate_plan(plan, store), requests_of(plan, store)
    sampling = gpu_hours(made["sample"], GPU, estimates["sample"], 7_000_000_000)
    assert sampling == pytest.approx(2 * 7e9 * 2_000_000 / (990e12 * 0.05) / 3600)
    training = gpu_hours(made["tuned"], GPU, estimates["tuned"], 7_000_000_000)
    assert training == pytest.approx(6 * 7e9 * 8_000_000 / (990e12 * 0.35) / 3600)
    assert gpu_hours(made["task.explore"], GPU, {}, 0) == 0.0
    assert gpu_hours(made["sample"], GPU, {}, 7) is None


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (
            ["stages.tuned.resources.deepspeed=null"],
            "tuned: 7.0B parameters need 117 GiB on each GPU, but only 64 GiB are available. Set `res",
        ),
        (
            ["model.hub=nobody/model-72b"],
            "sample: 72.0B parameters need 134 GiB on each GPU, but only 64 GiB are available. Set `tensor",
        ),
        (
            ["stages.tuned.resources.gpus=16"],
            "tuned: resources.gpus: 16 GPUs per node, but the cluster's nodes have 8.",
        ),
        (
            ["stages.tuned.resources.nodes=5"],
            ("tuned: resources.nodes: 5 nodes, but a job on the cluster may have at most 4."),
        ),
        (["stages.tuned.resources.cpus=97"], "tuned: resources.cpus: 97 cores per node"),
        (
            ["stages.tuned.resources.time=72:00:00"],
            "tuned: resources.time: 72:00:00, but the cluster's limit is 48:00:00.",
        ),
        (
            ["stages.tuned.resources.time=0:01:00"],
            "tuned: resources.time: 0:01:00 is too short: the signal to stop comes 120 s before the end",
        ),
        (["stages.tuned.resources.memory=2T"], "tuned: resources.memory: 2T, but the cluster's nodes have 1000G."),
        (
            ["stages.sample.resources.nodes=2"],
            "sample: resources.nodes: stage type 'sample' does not train; use `shards`.",
        ),
        (["stages.tuned.held_out={}"], "tuned: held_out: needs whole weights on every process, which ZeRO-3"),
    ],
)
def test_what_cannot_work_is_refused(sets: list[str], said: str, tmp_path: Path) -> None:
    from data_gen.errors import UserError

    plan, store = large(tmp_path, *sets)
    estimates = estimate_plan(plan, store)
    with pytest.raises(UserError) as error:
        check(plan, store, GPU, make_requests(plan, GPU, estimates), estimates)
    assert said in str(error.value) and "large.yaml:" in str(error.value)


def test_a_vllm_that_leaves_too_little_to_its_trainer_is_refused(tmp_path: Path) -> None:
    from data_gen.errors import UserError

    grpo = 'uses: grpo, policy: "${model}", problems: "${task.explore}", learning_rate: 1e-6, vllm: {memory: 0.7}'
    plan, store = large(tmp_path, f"stages.tuned={{{grpo}, batch_size: 128, resources: {{deepspeed: zero2}}}}")
    estimates = estimate_plan(plan, store)
    with pytest.raises(
        UserError, match=r"but only 8 GiB are available\. .*, or give vLLM less than 70% of each \(`vllm\.memory`\)\."
    ):
        check(plan, store, GPU, make_requests(plan, GPU, estimates), estimates)


def test_a_checkpoint_of_another_number_of_processes_is_told_before_anything_is_submitted(tmp_path: Path) -> None:
    from data_gen.errors import UserError

    plan, store = large(tmp_path)
    checkpoint = store.partial(plan.nodes["tuned"]) / "work" / "trainer" / "checkpoint-20"
    checkpoint.mkdir(parents=True)
    (checkpoint / "whole.json").write_text(json.dumps({"world": 4, "files": {}}), encoding="utf-8")
    estimates = estimate_plan(plan, store)
    with pytest.raises(
        UserError, match=r"tuned: its checkpoint was written by 4 process\(es\), but this run has 8. Start it with 4"
    ):
        check(plan, store, GPU, make_requests(plan, GPU, estimates), estimates)


def test_resources_are_checked_when_the_recipe_loads(tmp_path: Path) -> None:
    for text, said in (("time=90", "time"), ("memory=64GB", "memory"), ("gpu=8", "Did you mean 'gpus'?")):
        with pytest.raises(RecipeError, match=said.replace("?", r"\?")):
            large(tmp_path, f"stages.tuned.resources.{text}")


def test_resources_are_no_part_of_a_key(tmp_path: Path) -> None:
    plain = large(tmp_path)[0].nodes["tuned"].key
    assert large(tmp_path, "stages.tuned.resources={gpus: 4, nodes: 2, time: '1:00:00'}")[0].nodes["tuned"].key == plain


def test_a_plan_lists_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large(tmp_path)
    assert main(["plan", str(tmp_path / "large.yaml"), "--store", str(tmp_path / "store")]) == 0
    *_, said, how = capsys.readouterr().out.splitlines()
    assert said == "missing: model.hub: the model 'nobody/model-7b-instruct' is not on this machine"
    assert how == f"bring it with `reasoning-train fetch {tmp_path / 'large.yaml'}`"


def test_a_dry_run_lists_what_is_missing_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large(tmp_path)
    arguments = ["submit", str(tmp_path / "large.yaml"), "--cluster", str(ROOT / "configs/clusters/gpu.yaml")]
    assert main([*arguments, "--store", str(tmp_path / "store"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "missing: model.hub: the model 'nobody/model-7b-instruct' is not on this machine" in said
    assert "bring it with `reasoning-train fetch" in said
    assert (
        "job_tuned=$(sbatch --parsable --dependency=afterok:$job_model:$job_sample_2e_merge --kill-on-invalid-dep=yes"
        in said
    )
    assert "dry run: nothing was written or submitted" in said
    assert not (tmp_path / "store").exists()


def test_plan_shows_what_the_jobs_ask_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large(tmp_path)
    assert (
        main(
            [
                "plan",
                str(tmp_path / "large.yaml"),
                "--cluster",
                str(ROOT / "configs/clusters/gpu.yaml"),
                "--store",
                str(tmp_path),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "GPU-hours ~" in said and "about 0.4 GPU-hours" in said


def test_clocks() -> None:
    assert [seconds(text) for text in ("0:01:00", "24:00:00", "2-01:00:30")] == [60, 86400, 2 * 86400 + 3630]
    assert JobRequest(kind="light", time_s=90061).clock == "25:01:01"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partition", "gpu\ntouch here"),
        ("account", "a\x1b]0;t\x07"),
        ("modules", ["cuda\nx"]),
        ("sbatch", ["--comment=a\nb"]),
        ("srun", ["--label\n"]),
        ("env", {"A": "1\n2"}),
        ("env", {"A;touch here": "1"}),
        ("container", {"image": "/a\nb"}),
        ("container", {"image": "/a", "mounts": ["/b:/c\n"]}),
        ("scratch", "/tmp\n"),
        ("venv", "/v\n"),
    ],
)
def test_a_field_of_a_profile_stays_on_its_line(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match="expected one line without control characters|String should match pattern"):
        Cluster.model_validate({field: value})
    assert Cluster(setup=("if true\nthen true; fi",)).setup, "lines of shell may be several"
