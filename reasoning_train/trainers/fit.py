"""Trains an objective on rows: plans the steps, holds rows out, evaluates them, and sets the final weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasoning_train.api.stage import Context, gate
from reasoning_train.packing.forest import grow
from reasoning_train.packing.plan import Packing, by_group, in_order, micro_batches, mix_steps, spend_tokens
from reasoning_train.packing.rows import Row
from reasoning_train.process.memory.passes import LOGITS
from reasoning_train.process.ranks import first_decides, world_size
from reasoning_train.trainers.average import Average
from reasoning_train.trainers.base import SealCheckpoints, StepBatches, StepTrainer, train
from reasoning_train.trainers.data.held_out import Watch, hold_out
from reasoning_train.trainers.data.preflight import check_memory
from reasoning_train.trainers.logprobs import CHUNK
from reasoning_train.trainers.merge import merge_for_export
from reasoning_train.trainers.setup import arguments, curves_into
from reasoning_train.trainers.weights import gathered

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from reasoning_train.trainers.config import Training
    from reasoning_train.trainers.objective import Objective


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """With `TrainingSource(rows, share=3.0)` and `TrainingSource(other)`, three of four rows of any step come from the
    first."""

    rows: Sequence[Row]
    share: float = 1.0


def fit(
    objective: Objective,
    sources: Sequence[TrainingSource],
    config: Training,
    ctx: Context,
    *,
    packing: Packing,
    pad_id: int,
    runs: Path,
    limit: int,
    together: bool = False,
    max_trained_tokens: int | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> StepTrainer:
    """Plan and run the training, and record its steps. `together`: rows of one group stay in one step. `limit`: most
    tokens of a row. `max_trained_tokens`: ends training instead of the config's `epochs` and `max_steps`."""
    rows = [row for source in sources for row in source.rows]
    held = hold_out(rows, config.held_out.share, ctx.seed) if config.held_out else set()
    groups = _groups(sources, held, together=together)
    tokens = [row.trained_tokens for row in rows]
    mixed = partial(mix_steps, epochs=config.epochs, max_steps=config.max_steps)
    if max_trained_tokens is not None:
        gate(any(tokens), "max_trained_tokens: no row has a token that is trained on, so the number is never reached.")
        mixed = partial(spend_tokens, tokens=tokens, most=max_trained_tokens)
    plan = mixed(groups, [s.share for s in sources], config.batch_size, seed=ctx.seed)
    # Columns attend within their own tree only, so one long row costs no extra attention and pads least.
    capacity = config.micro_tokens if packing == "tree" else min(config.pack_to, limit)
    steps = partial(StepBatches, pad_id=pad_id, packing=packing, capacity=capacity, tokens=config.micro_tokens)
    training, average, watch = steps(rows, plan), Average(objective, config.ema) if config.ema else None, None
    _check_memory(objective, training, config, ctx)
    if config.held_out:
        dev = steps([rows[i] for i in sorted(held)], in_order(len(held), config.batch_size))
        watch = Watch(config.held_out, objective, training, dev, ctx, average)
        ctx.count("held_out", len(held))
    curves_into(runs)
    own = [callback for callback in (average, watch, SealCheckpoints(ctx.history, ctx.progress)) if callback]
    lost = watch is not None and first_decides(watch.lost)  # alone: what tells it is removed if it is lost
    trainer = train(objective, training, arguments(config, ctx), [*own, *callbacks], afresh=lost)
    ctx.metric("steps", trainer.state.global_step)
    if any(tokens):
        ctx.metric("trained_tokens", sum(tokens[i] for step in plan[: trainer.state.global_step] for i in step))
    ctx.metric("processes", world_size())
    if settled := watch or average:
        settled.settle()
    return trainer


def _check_memory(objective: Objective, steps: StepBatches, config: Training, ctx: Context) -> None:
    """Check that the largest pass of the step with the most tokens fits into memory."""
    most = max(steps.plan, key=lambda step: sum(steps.rows[i].tokens for i in step))
    passes = micro_batches(
        [steps.rows[i] for i in most], packing=steps.packing, capacity=steps.capacity, tokens=steps.tokens
    )
    sizes = [_size(packs, share=steps.packing == "tree") for packs in passes]
    # the average, and a copy of the weights while the average is evaluated
    copies = 1 + bool(config.held_out) if config.ema else 0
    longest = max((steps.rows[i] for i in most), key=lambda row: row.tokens)
    check_memory(
        objective,
        ctx,
        tokens=max(tokens for tokens, _ in sizes),
        logits=min(CHUNK, max(predicted for _, predicted in sizes)),
        longest=f"problem {longest.group!r}, {longest.tokens} tokens",
        copies=LOGITS + objective.needs.copies,
        recomputed=config.gradient_checkpointing,
        bf16=objective.bf16,
        added=config.trained(ctx.deepspeed).added(copies),
    )


def _size(packs: Sequence[Sequence[Row]], *, share: bool) -> tuple[int, int]:
    """Columns of one pass, padding included, and the number of tokens that it predicts."""
    traces = [[trace for row in rows for trace in row.traces] for rows in packs]
    predicted = sum(weight > 0 for pack in traces for trace in pack for weight in trace.weights)
    return len(packs) * max(grow(pack, share=share).width for pack in traces), predicted


def _groups(sources: Sequence[TrainingSource], held: set[int], *, together: bool) -> list[list[list[int]]]:
    """For each source, the groups of rows that are trained on, as indices into the rows of all sources."""
    found, start = [], 0
    for source in sources:
        groups = by_group(source.rows) if together else [[i] for i in range(len(source.rows))]
        kept = [[start + i for i in group if start + i not in held] for group in groups]
        found.append([group for group in kept if group])
        start += len(source.rows)
    gate(all(found), "held_out: a source has no rows left to train on. Hold out a smaller share, or give it more rows.")
    return found


def finish(trainer: StepTrainer, folder: Path, *, merge: bool, lm_head: bool = True) -> Any:
    """The trained objective with whole weights on every process, its model ready to save. `folder`: the artifact that
    training started from. `lm_head`: whether its language-model head is used."""
    objective: Any = gathered(trainer)
    objective.model = merge_for_export(objective.model, folder, merge=merge, bf16=objective.bf16, lm_head=lm_head)
    return objective
