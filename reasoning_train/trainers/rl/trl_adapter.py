"""GRPO and RLOO with TRL's trainers. Only this file and trl_vllm.py depend on TRL.

TRL forms groups, advantages and losses. Its prompts are replaced by the codec's ids, its `generate` by our engine
(except with vLLM), its checkpoints are sealed like ours, and padded rows get the positions of unpadded ones. The parts
of TRL's interface that this relies on are checked before each training and in tests.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from data_gen.errors import UserError
from reasoning_train.process.ranks import barrier, rank
from reasoning_train.trainers.base import SealCheckpoints, refuse_blown_up
from reasoning_train.trainers.checkpoints import to_resume
from reasoning_train.trainers.readable import loading
from reasoning_train.trainers.rl.trl_vllm import starting
from reasoning_train.trainers.self_check import check_left_padding
from reasoning_train.trainers.stop import StopOnSignal

if TYPE_CHECKING:
    from reasoning_train.models.policy import Policy
    from reasoning_train.trainers.rl.rewards import Rewards
    from reasoning_train.trainers.rl.rollouts import PolicyRollouts

Loss = Literal["grpo", "rloo"]
CURVES = {
    "reward": "reward",
    "reward_std": "reward_std",
    "kl": "kl",
    "completions/mean_length": "tokens_a_sample",
    "sampling/sampling_logp_difference/mean": "logprob_gap",
    "sampling/sampling_logp_difference/max": "logprob_gap_max",
}
"""TRL's metrics in the stage's curves, and their names there. The gaps are between vLLM's log-probabilities and the
trainer's."""
_SHARED = (
    "beta",
    "epsilon",
    "generation_kwargs",
    "gradient_accumulation_steps",
    "max_completion_length",
    "num_generations",
    "num_iterations",
    "per_device_train_batch_size",
    "shuffle_dataset",
    "temperature",
    "top_p",
    "use_vllm",
    "vllm_gpu_memory_utilization",
    "vllm_max_model_length",
    "vllm_mode",
    "vllm_server_base_url",
    "vllm_server_timeout",
)
FIELDS: dict[Loss, tuple[str, ...]] = {
    "grpo": (*_SHARED, "loss_type", "scale_rewards", "use_bias_correction_kl", "vllm_importance_sampling_correction"),
    "rloo": (*_SHARED, "normalize_advantages"),
}
"""Fields of TRL's configurations that are set here."""
METHODS = {
    "_tokenize_prompts": ("self", "prompts"),
    "_generate_single_turn": ("self", "prompt_ids", "images", "multimodal_fields"),
    "_generate_and_score_completions": ("self", "inputs"),
}
"""Methods of TRL's trainers that are replaced here, with their first parameters."""
ARGUMENTS = ("model", "reward_funcs", "args", "train_dataset", "processing_class", "callbacks")
"""Arguments of the trainers' constructors."""


def classes(loss: Loss) -> tuple[Any, Any]:
    """TRL's (trainer, configuration) classes. UserError if TRL is not installed or its interface has changed."""
    if importlib.util.find_spec("trl") is None:
        raise UserError(f"loss {loss!r} needs TRL, which is not installed here. `pip install 'reasoning_train[trl]'`.")
    import trl

    trainer, config = (trl.GRPOTrainer, trl.GRPOConfig) if loss == "grpo" else (trl.RLOOTrainer, trl.RLOOConfig)
    check(trainer, config, loss)
    return trainer, config


def check(trainer: Any, config: Any, loss: Loss) -> None:
    """UserError that names the first part of TRL that was renamed, removed or changed."""
    import trl

    def moved(what: str) -> UserError:
        return UserError(f"trl {trl.__version__}: {what}. This program was written for trl 1.16; install that version.")

    for name in FIELDS[loss]:
        if name not in config.__dataclass_fields__:
            raise moved(f"{config.__name__} has no field {name!r}")
    for name, wanted in METHODS.items():
        parameters = tuple(inspect.signature(getattr(trainer, name, lambda: None)).parameters)
        if parameters[: len(wanted)] != wanted:
            raise moved(
                f"{trainer.__name__}.{name} takes ({', '.join(parameters)}), expected ({', '.join(wanted)}, ...)"
            )
    missing = [name for name in ARGUMENTS if name not in inspect.signature(trainer.__init__).parameters]
    if missing:
        raise moved(f"{trainer.__name__} takes no {missing[0]!r}")


def make_trainer(
    loss: Loss,
    policy: Policy,
    plan: Sequence[Sequence[int]],
    rewards: Rewards,
    rollouts: PolicyRollouts,
    arguments: dict[str, Any],
) -> Any:
    """A TRL trainer over our prompts, completions and rewards, ready to train. `arguments`: for TRL's configuration.

    `plan`: indices of the problems of every step. TRL's own shuffling is off because it restarts when training is
    resumed.
    """
    from datasets import Dataset

    check_left_padding(policy.model)
    trainer, config = classes(loss)
    rows = [{"prompt": rewards.problems[number].question, "number": number} for step in plan for number in step]
    args = config(
        **{"bf16": False, **arguments},
        max_steps=len(plan),
        shuffle_dataset=False,
        num_iterations=1,
        gradient_checkpointing=False,
    )
    adapted = _adapted(trainer, loss, policy.codec.prompt_ids, rewards, rollouts)
    with starting(args) if args.use_vllm else nullcontext():
        made = adapted(
            model=policy.model,
            reward_funcs=rewards,
            args=args,
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
        )
    if not made.is_deepspeed_enabled:
        for parameter in filter(lambda p: p.requires_grad, made.model.parameters()):
            # TRL casts adapters on 4-bit weights to bfloat16, in which small updates are lost
            parameter.data = parameter.data.float()
    for module in (made.model, made.ref_model):
        if module is not None:
            getattr(module, "module", module).register_forward_pre_hook(_true_positions, with_kwargs=True)
    return made


def _adapted(
    base: Any, loss: Loss, prompt_ids: Callable[[str], list[int]], rewards: Rewards, rollouts: PolicyRollouts
) -> Any:
    class Adapted(base):
        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [prompt_ids(question) for question in prompts], None, {}

        def _generate_single_turn(self, prompt_ids: list[list[int]], *rest: Any, **more: Any) -> Any:
            if self.use_vllm:
                drawn = super()._generate_single_turn(prompt_ids, *rest, **more)
                rollouts.generated += sum(map(len, drawn[0] if loss == "grpo" else drawn))
                return drawn
            policy = self.accelerator.unwrap_model(self.model_wrapped)
            ids = rollouts(policy, prompt_ids, self.state.global_step)
            return (ids, None) if loss == "grpo" else ids  # TRL recomputes GRPO's log-probabilities if they are None

        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            found = super()._generate_and_score_completions(inputs)
            kept = ~torch.tensor(rewards.skipped, device=found["completion_mask"].device)
            found["completion_mask"] = found["completion_mask"] * kept[:, None]
            # at masked tokens the ratio to old_logps could overflow
            for name in {"advantages", "old_logps"} & found.keys():
                found[name] = torch.where(kept, found[name], 0.0)
            if "num_items_in_batch" in found:
                found["num_items_in_batch"] = self.accelerator.gather(found["completion_mask"].sum()).sum()
            return found

    return Adapted


def _true_positions(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positions of left-padded rows start at their first token, as during sampling."""
    mask = kwargs.get("attention_mask")
    if (
        mask is not None
        and mask.dim() == 2
        and kwargs.get("position_ids") is None
        and kwargs.get("past_key_values") is None
    ):
        kwargs["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0)
    return args, kwargs


def keep_reference(policy: Policy, folder: Path) -> None:
    """Save the current policy as TRL's reference, which TRL loads from the path in the model's configuration."""
    if rank() == 0:
        policy.model.save_pretrained(folder)
    barrier()
    policy.model.config._name_or_path = str(folder)


class Checkpoints(SealCheckpoints):
    """Seals TRL's checkpoints together with the counts so far, and forwards TRL's curves."""

    def __init__(
        self, rewards: Rewards, rollouts: PolicyRollouts, history: Callable[..., None], progress: Callable[..., None]
    ) -> None:
        super().__init__(history, progress)
        self.rewards, self.rollouts, self.last = rewards, rollouts, dict[str, float]()
        self._counted = (0, 0)

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Write this process's counts into the checkpoint, so that a resumed run continues them."""
        counted = {"counts": self.rewards.counts, "generated": self.rollouts.generated}
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / f"counted-{rank()}.json"
        path.write_text(json.dumps(counted), encoding="utf-8")
        super().on_save(args, state, control, **more)

    def restore(self, checkpoint: Path) -> None:
        """Restore the counts of a checkpoint."""
        counted = json.loads((checkpoint / f"counted-{rank()}.json").read_text(encoding="utf-8"))
        self.rewards.counts.update(counted["counts"])
        self.rollouts.generated = counted["generated"]
        self._counted = (self.rewards.counts["samples"], self.rewards.counts["samples.cut"])

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Log reward, its spread, KL divergence and length together with the loss."""
        if logs and "loss" in logs:
            self.last = {ours: float(logs[name]) for name, ours in CURVES.items() if logs.get(name) is not None}
            optimiser = {name: float(logs[name]) for name in ("loss", "grad_norm", "learning_rate") if name in logs}
            self.last |= self._cut_since()
            self.history(step=state.global_step, **optimiser, **self.last)
            self.progress(state.global_step, state.max_steps, **self.last)

    def _cut_since(self) -> dict[str, float]:
        """`cut`: the share of this process's samples since the last log that `max_tokens` cut."""
        before, now = self._counted, (self.rewards.counts["samples"], self.rewards.counts["samples.cut"])
        self._counted = now
        return {"cut": (now[1] - before[1]) / (now[0] - before[0])} if now[0] > before[0] else {}


def train(trainer: Any, checkpoints: Checkpoints) -> None:
    """Train from the newest whole checkpoint, or from the start."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    trainer.add_callback(checkpoints)
    trainer.add_callback(StopOnSignal())
    last = to_resume(Path(trainer.args.output_dir))
    with loading(last):
        if last is not None:
            checkpoints.restore(last)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    refuse_blown_up(trainer)
