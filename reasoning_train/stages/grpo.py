"""`grpo`: trains a policy on its own graded solutions by GRPO or RLOO.

The reward is the task's verdict, optionally shaped by a verifier. It runs TRL's trainers (extra `trl`) through
trainers/rl/trl_adapter.py and, if vLLM samples, trainers/rl/trl_vllm.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from data_gen.errors import excerpt
from data_gen.records.scales import Scale
from data_gen.registry import Unkeyed
from reasoning_train.api.refs import ModelRef, ProblemsRef, VerifierRef
from reasoning_train.api.stage import Context, Made, Sizes, at_most, gate, stage
from reasoning_train.evaluation.cut import cut_warning
from reasoning_train.process.memory.weights import WeightBytes
from reasoning_train.process.ranks import rank, summed, world_size
from reasoning_train.stages.fits import heads, unreadable
from reasoning_train.store.inputs import load_task, read_problems
from reasoning_train.trainers.config import Optimising
from reasoning_train.trainers.deepspeed import zero_stage
from reasoning_train.trainers.rl.trl_vllm import Vllm, check_installed, trl_settings
from reasoning_train.trainers.setup import (
    curves_into,
    has_gpu,
    load_options,
    prepare,
    settings,
    training_cost,
    use_bf16,
)

if TYPE_CHECKING:
    from data_gen.records.problem import Problem
    from reasoning_train.models.policy import Policy
    from reasoning_train.trainers.rl.rewards import Rewards
    from reasoning_train.trainers.rl.rollouts import PolicyRollouts


class GRPOConfig(Optimising):
    """Which policy is trained on which problems, and how. Defaults are GRPO's (arXiv 2402.03300); `loss: rloo` is arXiv
    2402.14740."""

    policy: ModelRef
    problems: ProblemsRef
    loss: Literal["grpo", "rloo"] = "grpo"
    n: int = Field(8, ge=2, le=1_000_000)
    """Solutions per problem (a group); `batch_size` counts solutions."""
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1)
    limit: int | None = Field(None, ge=1)
    """Use only the first N problems."""
    verifier: VerifierRef | None = None
    """Shapes the reward: sigma(0.5 r_m) + (r_v - 1), where r_m is its score of the whole solution and r_v the verdict
    (Qwen2.5-Math, arXiv 2409.12122)."""
    uniform_groups: Literal["keep", "skip"] = "keep"
    """Groups that are all right or all wrong. `skip`: they give no gradient, not even from the divergence. Unverifiable
    groups never do."""
    beta: float = Field(0.001, ge=0)
    """Weight of the divergence from the initial policy: in the loss (grpo) or in the reward (rloo). 0: no reference
    model is kept."""
    epsilon: float = Field(0.2, gt=0)
    """Clipping range of the probability ratios."""
    divide_by_std: bool | None = None
    """Divide advantages by the standard deviation of the group (grpo; default: yes) or of the batch (rloo; default:
    no)."""
    mean_over: Literal["solution", "tokens", "max_tokens"] = "solution"
    """What a solution's loss is divided by: its length, all tokens of the step (DAPO), or `max_tokens` (Dr. GRPO). Not
    for rloo."""
    adapter: Literal["merge", "keep"] = "merge"
    vllm: Annotated[Vllm | None, Unkeyed()] = None
    """Default: the `transformers` engine in this process."""

    @model_validator(mode="after")
    def _fits(self) -> GRPOConfig:
        if self.batch_size % self.n:
            raise ValueError(
                f"batch_size: {self.batch_size} solutions do not make whole groups of n={self.n}; use a multiple of n"
            )
        if self.loss == "rloo" and self.mean_over != "solution":
            raise ValueError(
                f"mean_over: rloo weights whole solutions, so {self.mean_over!r} does not apply; leave it out"
            )
        if self.vllm and self.lora and self.lora.bits:
            raise ValueError("vllm: it cannot take adapters on weights of 4 bits (lora.bits); leave one of the two out")
        return self

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """Completions are sampled during training, and groups are never split between processes."""
        yield from super().placement_problems(world, deepspeed)
        if zero_stage(deepspeed) == 3 and not (self.vllm and self.vllm.mode == "server"):
            yield (
                f"grpo: completions are drawn from the policy, which ZeRO-3 (resources.deepspeed={deepspeed!r}) "
                "shards. Use zero2, or draw them from a server: `vllm: {mode: server, base_url: http://...}`."
            )
        if deepspeed and self.lora and self.vllm:
            yield (
                "grpo: vllm: adapters are merged into the weights for it and taken out again at every step, and "
                f"DeepSpeed's bfloat16 (resources.deepspeed={deepspeed!r}) rounds them each time. Leave `deepspeed` "
                "out: adapters are small."
            )
        groups = self.batch_size // self.n
        if groups % world:
            yield (
                f"grpo: {groups} groups a step (batch_size / n) cannot be dealt to {world} processes. Make batch_size "
                f"a multiple of {self.n * world}."
            )

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """A full training also keeps the reference model in memory."""
        return self.trained(deepspeed).held_in_rl(reference=self.beta > 0, vllm=self.vllm is not None)

    @property
    def reserved_share(self) -> float:
        """The share of a vLLM engine in the trainer's process."""
        return self.vllm.memory if self.vllm and self.vllm.mode == "colocate" else 0.0


@stage("grpo", version=1, outputs={"model": "model"}, distributed=True)
def grpo(config: GRPOConfig, ctx: Context) -> None:
    """Train, then publish the policy with its Format. Adapters are merged unless `adapter: keep`."""
    from data_gen.engines.base import Sampling
    from reasoning_train.models.policy import load_policy, save_policy
    from reasoning_train.packing.plan import plan_steps
    from reasoning_train.trainers.merge import merge_for_export
    from reasoning_train.trainers.rl import trl_adapter
    from reasoning_train.trainers.rl.rollouts import PolicyRollouts
    from reasoning_train.trainers.weights import gathered

    gate(config.vllm is None or has_gpu(), "grpo: `vllm` needs a CUDA device; this machine has none. Leave it out.")
    if config.vllm:
        check_installed()
    folder, bf16 = ctx.input(config.policy).path, use_bf16(config.precision)
    policy = load_policy(folder, **_load_options(config, ctx))
    problems, longest = _problems(config, policy, ctx)
    if config.beta and not config.lora:
        trl_adapter.keep_reference(policy, ctx.partial / "reference")
    policy.model = prepare(policy.model, config)
    sampling = Sampling(
        max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p, stop=policy.format.task.ends
    )
    rewards, rollouts = _rewards(config, policy, problems, sampling, ctx), PolicyRollouts(policy, sampling, ctx.seed)
    groups = config.batch_size // config.n
    plan = plan_steps(
        [[i] for i in range(len(problems))], groups, epochs=config.epochs, max_steps=config.max_steps, seed=ctx.seed
    )
    arguments = _arguments(config, policy, longest, ctx) | {"bf16": bf16}
    _check_memory(config, policy, arguments["per_device_train_batch_size"], longest, ctx)
    trainer = trl_adapter.make_trainer(config.loss, policy, plan, rewards, rollouts, arguments)
    out = ctx.output("model")
    curves_into(out / "runs")
    checkpoints = trl_adapter.Checkpoints(rewards, rollouts, ctx.history, ctx.progress)
    trl_adapter.train(trainer, checkpoints)
    _count(rewards, rollouts, ctx)
    ctx.metric("steps", trainer.state.global_step)
    ctx.metric("processes", world_size())
    for name, value in checkpoints.last.items():
        ctx.metric(f"last_{name}", value)
    policy.model = merge_for_export(gathered(trainer), folder, merge=config.adapter == "merge", bf16=bf16)
    if rank() == 0:
        save_policy(policy, out)


@grpo.check
def fits(config: GRPOConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The verifier's values are rankings, or convert to odds of being right."""
    for maker, head in heads(made, config.verifier) if config.verifier else ():
        if head and head.scale is not Scale.RANKING and (said := unreadable(head.scale, Scale.ODDS)):
            yield "verifier", f"{maker.name!r}: {said} Calibrate it, or train one of another kind."


@grpo.estimate
def cost(config: GRPOConfig, sizes: Sizes) -> dict[str, Any]:
    """Every step's solutions to the token limit, and the memory of weights, gradients and optimizer."""
    result = training_cost(config, config.policy, [], sizes)
    rows = at_most(sizes(config.problems).get("rows"), config.limit)
    passed = None if rows is None else round((config.epochs or 1) * rows * config.n / config.batch_size)
    if steps := config.max_steps or passed:
        calls = steps * config.batch_size
        result |= {"calls": calls, "tokens": calls * config.max_tokens, "trained_tokens": calls * config.max_tokens}
    return result


def _load_options(config: GRPOConfig, ctx: Context) -> dict[str, Any]:
    """With vLLM the weights are float32: TRL merges adapters and removes them at every step, which would round bfloat16
    weights each time."""
    import torch

    return load_options(config, "grpo", ctx.deepspeed) | ({"dtype": torch.float32} if config.vllm else {})


def _problems(config: GRPOConfig, policy: Policy, ctx: Context) -> tuple[list[Problem], int]:
    """Problems whose prompt leaves room for `max_tokens`, and the longest prompt."""
    import itertools

    from reasoning_train.trainers.data.preflight import length_quantiles

    task = load_task(ctx.input(config.problems))
    policy.format.check_same_task(
        policy.format.model_copy(update={"task": task.format}), f"policy {config.policy}", f"problems {config.problems}"
    )
    limit = min(config.max_length or policy.context, policy.context)
    every = list(itertools.islice(read_problems(ctx.input(config.problems)), config.limit))
    lengths = {p.id: len(policy.codec.prompt_ids(p.question)) for p in every}
    kept = [p for p in every if lengths[p.id] + config.max_tokens <= limit]
    lost, needed = len(every) - len(kept), max(config.min_rows, config.batch_size // config.n)
    ctx.count("in", len(every))
    ctx.count("out", len(kept))
    ctx.count("dropped.too_long", lost)
    advice = "Lower `max_tokens`, raise `max_length`, or use other problems."
    if long := next((p for p in every if lengths[p.id] + config.max_tokens > limit), None):
        advice += f" The first without room: problem {long.id!r}, {lengths[long.id]} tokens, {excerpt(long.question)}."
    gate(
        len(kept) >= needed,
        f"grpo: {len(kept)} problems, fewer than the {needed} that a step takes ({lost} leave no room for "
        f"max_tokens={config.max_tokens} within {limit}). {advice}",
    )
    gate(
        lost <= config.max_dropped * len(every),
        f"grpo: {lost} of {len(every)} problems leave no room for max_tokens={config.max_tokens} within {limit} "
        f"tokens, more than max_dropped={config.max_dropped}. {advice}",
    )
    quantiles = length_quantiles((lengths[p.id] for p in kept), ctx)
    if rank() == 0:
        first = policy.codec.decode(policy.codec.prompt_ids(kept[0].question))
        print(
            f"grpo: {len(kept)} of {len(every)} problems; tokens of a prompt: {quantiles}; the first prompt:\n{first}",
            flush=True,
        )
    return kept, max(lengths[p.id] for p in kept)


def _rewards(config: GRPOConfig, policy: Policy, problems: list[Problem], sampling: Any, ctx: Context) -> Rewards:
    from reasoning_train.trainers.rl.rewards import Rewards

    verifier = None
    if config.verifier:
        from data_gen.verifiers.checkpoint import load_verifier

        verifier = load_verifier(ctx.input(config.verifier).path)
    task = load_task(ctx.input(config.problems))
    return Rewards(problems, task, policy.codec, sampling, config.n, verifier, config.uniform_groups)


def _arguments(config: GRPOConfig, policy: Policy, longest: int, ctx: Context) -> dict[str, Any]:
    """Fields of TRL's configuration."""
    from data_gen.engines.vllm.core import end_settings

    mine = config.batch_size // world_size()
    fitting = max(1, config.micro_tokens // (longest + config.max_tokens))
    micro = max(n for n in range(1, mine + 1) if mine % n == 0 and n <= fitting)
    made = {
        **settings(config, ctx),
        "logging_steps": 1,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": mine // micro,
        "num_generations": config.n,
        "max_completion_length": config.max_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "beta": config.beta,
        "epsilon": config.epsilon,
    }
    if config.vllm:
        ends = end_settings(policy.end_ids, policy.format.task.ends)
        made |= trl_settings(config.vllm, config.loss, ends, length=longest + config.max_tokens, top_p=config.top_p)
    if config.loss == "rloo":
        return made | {"normalize_advantages": bool(config.divide_by_std)}
    by = {"solution": "grpo", "tokens": "dapo", "max_tokens": "dr_grpo"}[config.mean_over]
    return made | {
        "loss_type": by,
        "scale_rewards": "none" if config.divide_by_std is False else "group",
        "use_bias_correction_kl": False,
    }


def _check_memory(config: GRPOConfig, policy: Policy, micro: int, longest: int, ctx: Context) -> None:
    """TRL keeps the logits of all sampled tokens of a pass and, in a full training, the initial policy beside the
    trained one."""
    from reasoning_train.trainers.data.preflight import check_memory

    reference, bf16 = config.beta > 0 and config.lora is None, use_bf16(config.precision)
    native, trained = ctx.deepspeed is not None and bf16, replace(config.trained(ctx.deepspeed), half=bf16)
    check_memory(
        policy.model,
        ctx,
        tokens=micro * (longest + config.max_tokens),
        logits=micro * config.max_tokens,
        longest=f"a prompt of {longest} tokens",
        recomputed=config.gradient_checkpointing,
        bf16=bf16,
        native=native,
        added=trained.added_in_rl(reference=reference),
        reserved_share=config.reserved_share,
        spread="zero2",
    )


def _count(rewards: Rewards, rollouts: PolicyRollouts, ctx: Context) -> None:
    """Sum the counters over all processes. GateError if no group was mixed and there is no verifier, since nothing was
    learnt."""
    import torch

    names = [
        *(f"groups.{kind}" for kind in ("mixed", "all_right", "all_wrong", "unverifiable")),
        "samples",
        "samples.cut",
        "samples.unverifiable",
        "tokens.scored",
    ]
    own = {name: rewards.counts[name] for name in names} | {"tokens.generated": rollouts.generated}
    totals = {
        name: int(value) for name, value in summed({name: torch.tensor(float(n)) for name, n in own.items()}).items()
    }
    for name, n in totals.items():
        ctx.count(name, n)
    share = totals["samples.cut"] / max(1, totals["samples"])
    ctx.metric("cut_share", share)
    if warning := cut_warning({"the samples": share}):
        ctx.metric("warning", warning)
    gate(
        totals["groups.mixed"] > 0 or rewards.verifier is not None,
        f"grpo: no group had both right and wrong solutions ({totals['groups.all_right']} all right, "
        f"{totals['groups.all_wrong']} all wrong, {totals['groups.unverifiable']} unverifiable; "
        f"{totals['samples.cut']} of {totals['samples']} solutions were cut), so nothing could be learnt. Use problems "
        "that the policy solves sometimes, raise `n`, `temperature` or `max_tokens`.",
    )
