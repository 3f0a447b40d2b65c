"""`grpo` whose completions TRL's vLLM draws, beside the trainer and from a server. Needs vLLM.

What differs from a GPU is how new weights reach vLLM, which TRL does not know for CPUs: `on_cpu` and `server` stand in
for it.
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_gen.engines.openai.server import ModelServer
from data_gen.errors import UserError
from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Artifact
from reasoning_train.trainers.rl.trl_adapter import Checkpoints
from tests.data_gen.engines.vllm.tiny import vllm_program
from tests.reasoning_train.bench import MODEL, Bench, points
from tests.reasoning_train.stages import trl_on_cpu
from tests.reasoning_train.stages.test_grpo import FIXED, dying, half_taught, same, train
from tests.reasoning_train.stages.test_torchrun import under_torchrun

pytestmark = pytest.mark.vllm
BESIDE = {"mode": "colocate"}
GAP = 5e-5
"""Nats between what vLLM and the trainer say of a token: rounding, where both have the same weights."""


@pytest.fixture
def kitchen(bench: Bench, one_thread: None, on_cpu: None) -> Bench:
    """As in test_grpo.py, with heads that vLLM's CPU kernels take."""
    bench.model(init={**MODEL["init"], "hidden_size": 64})
    return half_taught(bench, steps=12)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    for change in trl_on_cpu.changes():
        monkeypatch.setattr(*change)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    yield
    gc.collect()
    cleanup_dist_env_and_memory()  # a process holds one vLLM at a time


def gaps(artifact: Artifact) -> list[float]:
    return [point["logprob_gap_max"] for point in points(artifact)]


@pytest.mark.parametrize("loss", ["grpo", "rloo"])
def test_reward_grows(kitchen: Bench, loss: str) -> None:
    """And vLLM has every step's weights: it says of its tokens what the trainer says."""
    made = train(kitchen, loss=loss, max_steps=40, vllm=BESIDE)
    rewards, counts = [point["reward"] for point in points(made)], made.manifest["counts"]
    assert sum(rewards[-15:]) / 15 > sum(rewards[:10]) / 10 + 0.08
    assert counts["samples"] == 40 * 32
    assert counts["tokens.generated"] == round(sum(point["tokens_a_sample"] for point in points(made)) * 32)
    if loss == "grpo":  # rloo does not ask for what vLLM says
        assert len(gaps(made)) == 40
        assert max(gaps(made)) < GAP


def test_adapters_reach_it_merged(kitchen: Bench) -> None:
    made = train(kitchen, lora={"r": 4, "alpha": 8}, learning_rate=0.01, max_steps=6, vllm=BESIDE)
    assert max(gaps(made)) < GAP
    assert not same(made, kitchen.store.open(kitchen.nodes["half"]))


def test_the_gap_shows_weights_that_do_not_reach_it(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.generation import vllm_generation

    monkeypatch.setattr(vllm_generation.VLLMGeneration, "sync_weights", lambda self: None)
    first, *later = gaps(train(kitchen, max_steps=4, vllm=BESIDE))
    assert first < GAP and min(later) > 20 * GAP


def test_solutions_follow_from_the_seed(kitchen: Bench) -> None:
    one, two, other = (
        train(kitchen, name, seed=seed, vllm=BESIDE) for name, seed in (("one", 1), ("two", 1), ("other", 2))
    )
    assert same(one, two)
    assert points(one) == points(two)
    assert points(one)[0]["tokens_a_sample"] != points(other)[0]["tokens_a_sample"]


def test_resumed_equals_straight_bitwise(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = train(kitchen, "straight", max_steps=5, save_every=2, vllm=BESIDE)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_save", dying(Checkpoints.on_save))
        with pytest.raises(KeyboardInterrupt):
            train(kitchen, "killed", max_steps=5, save_every=2, vllm=BESIDE)
    gc.collect()  # else the killed vLLM ends while the next one begins
    resumed = kitchen.run("killed")
    assert same(resumed, straight)
    assert resumed.manifest["counts"] == straight.manifest["counts"]


def test_each_of_two_processes_has_one(kitchen: Bench) -> None:
    kitchen.add(
        "made", "grpo", policy=Ref("half"), problems=Ref("gold.problems"), **{**FIXED, "max_steps": 4, "vllm": BESIDE}
    )
    made = under_torchrun(kitchen, "made", 2, plugins=(f"{trl_on_cpu.__name__}_here",))
    assert made.manifest["metrics"]["processes"] == 2
    assert made.manifest["counts"]["samples"] == 4 * 32
    assert made.manifest["counts"]["tokens.generated"] == round(
        sum(point["tokens_a_sample"] for point in points(made)) * 32
    )
    assert max(gaps(made)) < GAP


def test_a_share_that_cannot_be_had_is_told(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "100000")
    with pytest.raises(
        UserError,
        match=r"(?s)vllm: it does not start beside the trainer, with memory=0\.3\. .*last lines:\n  .* vllm\[",
    ):
        train(kitchen, vllm=BESIDE)


@pytest.fixture
def server(kitchen: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a `vllm serve` with the policy, as TRL wants it; new weights reach it through a file in place of
    NCCL."""
    import requests
    from trl.generation import vllm_client, vllm_generation

    half = kitchen.policy("half")
    save_untied(half.model, tmp_path / "served")
    half.tokenizer.save_pretrained(tmp_path / "served")

    def command(port: int) -> list[str]:
        return [
            vllm_program(tmp_path) or "vllm",
            "serve",
            str(tmp_path / "served"),
            "--port",
            str(port),
            "--weight-transfer-config",
            '{"backend": "nccl"}',
            "--logprobs-mode",
            "processed_logprobs",
            "--dtype",
            "float32",
            "--enforce-eager",
        ]

    def sync_weights(self: Any) -> None:
        save_untied(self.model, tmp_path / "sent")
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(tmp_path / "sent")}}
        requests.post(f"{self.vllm_client.base_url}/collective_rpc", json=body, timeout=60).raise_for_status()
        self.vllm_client.reset_prefix_cache()

    monkeypatch.setattr(vllm_client.VLLMClient, "init_communicator", lambda *_, **__: None)
    monkeypatch.setattr(vllm_generation.VLLMGeneration, "sync_weights", sync_weights)
    with ModelServer(
        command, log=tmp_path / "server.log", start_timeout=300, env={"VLLM_SERVER_DEV_MODE": "1"}
    ) as running:
        yield running.url


def save_untied(model: Any, folder: Path) -> None:
    """With a language-model head of its own, which a server for CPUs reloads, too."""
    config = copy.deepcopy(model.config)
    config.tie_word_embeddings = False
    other = type(model)(config)
    other.load_state_dict(model.state_dict())
    other.save_pretrained(folder)


def test_a_server_draws(kitchen: Bench, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for loss in ("grpo", "rloo"):
        made = train(kitchen, loss, loss=loss, max_steps=5, vllm={"mode": "server", "base_url": server})
        counts = made.manifest["counts"]
        assert counts["samples"] == 5 * 32
        assert counts["tokens.generated"] == round(sum(point["tokens_a_sample"] for point in points(made)) * 32)
        assert counts["groups.mixed"] > 0
        assert loss == "rloo" or max(gaps(made)) < GAP
    from trl.generation import vllm_client

    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError("no NCCL")

    monkeypatch.setattr(vllm_client.VLLMClient, "init_communicator", refuse)
    with pytest.raises(
        UserError, match=r"grpo: vllm: TRL cannot work with the server at http:.*\d\. NotImplementedError: no NCCL"
    ):
        train(kitchen, "refused", vllm={"mode": "server", "base_url": server})
