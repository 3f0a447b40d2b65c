"""What a recipe says of TRL's vLLM and what TRL is told, without a vLLM; with one:
tests/reasoning_train/stages/test_vllm_grpo.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import trl

from data_gen.engines.vllm.core import end_settings
from data_gen.errors import UserError
from reasoning_train.api.refs import Ref
from reasoning_train.process.memory.weights import WeightBytes
from reasoning_train.stages import grpo as stage
from reasoning_train.stages.grpo import GRPOConfig
from reasoning_train.trainers.config import Lora
from reasoning_train.trainers.data import preflight
from reasoning_train.trainers.rl import trl_vllm
from reasoning_train.trainers.rl.trl_vllm import Vllm, check_installed, starting, trl_settings
from tests.reasoning_train.trainers.here import Here
from tests.reasoning_train.trainers.test_trl_adapter import gpt2

ADDRESS = "http://127.0.0.1:9"
SERVER = {"mode": "server", "base_url": f"{ADDRESS}/v1"}


def config(**more: Any) -> GRPOConfig:
    return GRPOConfig.model_validate(
        {"policy": Ref("m"), "problems": Ref("p"), "learning_rate": 1e-6, "n": 4, "batch_size": 8, **more}
    )


@pytest.mark.parametrize("given", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}/v1", f"{ADDRESS}/v1/"])
def test_trl_gets_the_address_without_the_version(given: str) -> None:
    assert Vllm(mode="server", base_url=given).address == ADDRESS


@pytest.mark.parametrize(
    ("vllm", "said"),
    [
        (
            {"mode": "server"},
            r"vllm.base_url: mode 'server' needs the address of a `vllm serve`, e\.g\. http://localhost:8000/v1",
        ),
        ({"mode": "server", "base_url": "localhost:8000"}, "base_url must look like http://127.0.0.1:8000/v1"),
        (
            {"mode": "server", "base_url": "http://h/generate"},
            "vllm.base_url: expected an address such as .*, got 'http://h/generate'",
        ),
        (
            {**SERVER, "memory": 0.5},
            "vllm.memory: belongs to mode 'colocate', but the mode is 'server'; leave it out",
        ),
        ({"base_url": ADDRESS}, "vllm.base_url: belongs to mode 'server', but the mode is 'colocate'; leave it out"),
        ({"start_timeout": 9}, "vllm.start_timeout: belongs to mode 'server'"),
        ({"memory": 1}, "less than 1"),
        ({"mode": "server", "base_url": "http://me:secret@h/v1"}, "base_url must hold no user, password or query"),
    ],
)
def test_what_does_not_fit_is_told(vllm: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(vllm=vllm)


def test_adapters_that_do_not_reach_it_are_refused() -> None:
    with pytest.raises(ValueError, match=r"vllm: it cannot take adapters on weights of 4 bits \(lora.bits\)"):
        config(vllm={}, lora={"bits": 4})
    [said] = config(vllm={}, lora={}).placement_problems(2, "zero2")
    assert said.startswith(
        "grpo: vllm: adapters are merged into the weights for it and taken out again at every step, and DeepSpeed's "
    )
    assert not list(config(vllm={}, lora={}).placement_problems(2, None))
    assert not list(config(vllm={}).placement_problems(2, "zero2"))


def test_adapters_for_vllm_are_merged_into_float32(tmp_path: Path) -> None:
    """What the merges of every step leave behind there is nothing."""
    assert stage._load_options(config(vllm={}, lora={}, precision="bfloat16"), Here(tmp_path)) == {
        "dtype": torch.float32
    }  # type: ignore[arg-type]
    assert stage._load_options(config(lora={}, precision="bfloat16"), Here(tmp_path)) == {"dtype": torch.bfloat16}  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", ["grpo", "rloo"])
def test_trl_is_told_all_of_it(tmp_path: Path, loss: str) -> None:
    """The longest prompt has 12 tokens, and a completion 30."""
    policy, here = gpt2(), Here(tmp_path)
    ends = end_settings(policy.end_ids, policy.format.task.ends)
    given: Any = {"loss": loss, "max_tokens": 30, "vllm": {"memory": 0.4}}
    told = stage._arguments(config(**given), policy, 12, here)  # type: ignore[arg-type]
    wanted = {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": 0.4,
        "vllm_max_model_length": 42,
        "vllm_server_base_url": None,
        "generation_kwargs": ends,
    }
    assert wanted.items() <= told.items()
    assert (
        ends["ignore_eos"] and ends["stop_token_ids"] == sorted(policy.end_ids) and ends["include_stop_str_in_output"]
    )
    served = stage._arguments(config(**{**given, "vllm": {**SERVER, "start_timeout": 7}}), policy, 12, here)  # type: ignore[arg-type]
    assert {"vllm_mode": "server", "vllm_server_base_url": ADDRESS, "vllm_server_timeout": 7}.items() <= served.items()
    fields = (trl.GRPOConfig if loss == "grpo" else trl.RLOOConfig).__dataclass_fields__
    assert told.keys() <= fields.keys()


def test_a_cut_distribution_is_not_corrected() -> None:
    """Only grpo corrects for what vLLM says of its tokens, and only where it says what the trainer means."""
    [whole, cut] = (trl_settings(Vllm(), "grpo", {}, length=9, top_p=top_p) for top_p in (1.0, 0.9))
    assert whole["vllm_importance_sampling_correction"] and not cut["vllm_importance_sampling_correction"]
    assert "vllm_importance_sampling_correction" not in trl_settings(Vllm(), "rloo", {}, length=9, top_p=1.0)


@pytest.mark.parametrize(
    ("more", "deepspeed", "added", "reserved_share"),
    [
        ({}, None, WeightBytes(optimizer=8, gradient=4, weight=0, copies=4), 0.0),
        ({"beta": 0}, None, WeightBytes(optimizer=8, gradient=4, weight=0), 0.0),
        ({"lora": Lora()}, None, WeightBytes(optimizer=8, gradient=4, weight=0), 0.0),
        ({"vllm": {}}, None, WeightBytes(optimizer=8, gradient=4, weight=0, copies=4), 0.3),
        (
            {"vllm": {"memory": 0.5}, "precision": "bfloat16"},
            "zero2",
            WeightBytes(optimizer=12, gradient=2, weight=-2, copies=2),
            0.5,
        ),
        (
            {"vllm": SERVER, "beta": 0, "precision": "bfloat16"},
            "zero3",
            WeightBytes(optimizer=12, gradient=2, weight=-2),
            0.0,
        ),
        ({"precision": "bfloat16"}, None, WeightBytes(optimizer=8, gradient=4, weight=0, copies=6), 0.0),
        ({"precision": "float32"}, "zero2", WeightBytes(optimizer=12, gradient=4, weight=0, copies=4), 0.0),
    ],
)
def test_memory_that_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
    deepspeed: str | None,
    added: WeightBytes,
    reserved_share: float,
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(preflight, "check_memory", lambda *_, **said: asked.update(said))
    stage._check_memory(config(**more), gpt2(), 2, 12, Here(tmp_path, deepspeed))  # type: ignore[arg-type]
    assert (asked["added"], asked["reserved_share"]) == (added, reserved_share)
    assert asked["native"] == (deepspeed is not None and more.get("precision") == "bfloat16")


def arguments(folder: Path, **more: Any) -> SimpleNamespace:
    fixed = {"output_dir": str(folder), "seed": 3, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.3}
    return SimpleNamespace(**{**fixed, **more})


def test_a_missing_vllm_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trl_vllm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"not installed here\. `pip install 'reasoning_train\[trl,vllm\]'`, or leave it out"
    ):
        check_installed()


def test_a_server_that_does_not_answer_in_time_is_told(tmp_path: Path) -> None:
    served = arguments(tmp_path, vllm_mode="server", vllm_server_base_url=ADDRESS, vllm_server_timeout=0)
    with (
        pytest.raises(UserError, match=f"vllm.base_url: no server has answered at {ADDRESS}/health for 0 s. Start one"),
        starting(served),
    ):
        pass


def test_what_is_not_vllms_passes_through_and_the_seed_is_the_stages(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="beta"), starting(arguments(tmp_path)):
        raise KeyError("beta")
    drawn = []
    for seed in (3, 4, 3):
        with starting(arguments(tmp_path, seed=seed)):
            torch.manual_seed(0)  # as vLLM does
        drawn.append(torch.rand(1).item())
    assert drawn[0] == drawn[2] != drawn[1]
