"""Checks before training: dropped rows, lengths, labels and memory. Shows one row as the model sees it.

Everything is printed to the stage's log; a failed check stops the stage. (Tokenizer, template and end of each row are
checked during encoding: pairs.py, solutions.py, values.py.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from data_gen.records.scales import Scale
from reasoning_train.api.stage import gate
from reasoning_train.process.memory import GIB
from reasoning_train.process.memory.device import available_bytes, device_bytes
from reasoning_train.process.memory.passes import (
    AUTOCAST_BYTES,
    BYTES,
    LOGITS,
    DecoderShape,
    activation_bytes,
    cast_bytes,
)
from reasoning_train.process.memory.weights import WeightBytes
from reasoning_train.process.ranks import rank, world_size
from reasoning_train.trainers.data.encoded import LOST, Encoded
from reasoning_train.trainers.data.label_counts import Histogram, gate_classes
from reasoning_train.trainers.deepspeed import zero_stage

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from reasoning_train.api.stage import Context
    from reasoning_train.packing.rows import Row, Trace
    from reasoning_train.trainers.config import Training

SHOWN = 1200
"""Most characters of a row that is shown."""


def validate_rows(
    name: str,
    encoded: Encoded,
    config: Training,
    ctx: Context,
    limit: int,
    codec: StepCodec,
    *,
    scale: Scale | None = None,
) -> list[Row]:
    """Count, describe and show the rows. GateError if there are too few, if too many were lost, or if all targets (on
    `scale`) are alike."""
    kept, dropped = len(encoded.rows), encoded.dropped
    lost, total = sum(dropped[reason] for reason in LOST), len(encoded.rows) + sum(dropped.values())
    ctx.count("in", total)
    ctx.count("out", kept)
    for reason, n in dropped.items():
        ctx.count(f"dropped.{reason}", n)
    quantiles = length_quantiles((len(trace) for row in encoded.rows for trace in row.traces), ctx)
    _say(
        f"{name}: {kept} of {total} rows; dropped: {dict(dropped) or 'none'}; tokens of a trace: {quantiles}, limit "
        f"{limit}"
    )
    gate(
        kept >= config.min_rows,
        f"{name}: {kept} rows to train on, fewer than min_rows={config.min_rows} (dropped: {encoded.why(limit)}). Make "
        f"more data, raise `max_length`, or lower `min_rows`.{encoded.offending(limit)}",
    )
    gate(
        lost <= config.max_dropped * (kept + lost),
        f"{name}: {lost} of {kept + lost} rows dropped ({encoded.why(limit, lost=True)}), more than "
        f"max_dropped={config.max_dropped}. Raise `max_length` or the sampling's `max_tokens`, or select only whole "
        f"solutions.{encoded.offending(limit, lost=True)}",
    )
    if scale is not None:
        _describe_labels(encoded.rows, scale, ctx)
        _check_targets(name, encoded, limit)
        _check_labels(name, encoded.rows, scale, codec)
    _say(
        f"{name}: the first row, ⟦trained⟧, ‹› behind tokens where a value is "
        f"read:\n{shown(encoded.rows[0].traces[0], codec)}"
    )
    return encoded.rows


def length_quantiles(lengths: Iterable[int], ctx: Context) -> dict[str, int]:
    """Quantiles of lengths in tokens, recorded for the report."""
    ordered = sorted(lengths) or [0]
    found = {f"p{q}": ordered[min(len(ordered) - 1, q * len(ordered) // 100)] for q in (50, 90, 99, 100)}
    ctx.metric("length_quantiles", found)
    return found


def check_memory(
    model: Any,
    ctx: Context,
    *,
    tokens: int,
    logits: int,
    longest: str,
    recomputed: bool,
    bf16: bool,
    added: WeightBytes,
    copies: int = LOGITS,
    native: bool = False,
    reserved_share: float = 0.0,
    spread: str = "zero3",
) -> None:
    """GateError if the memory that training adds does not fit beside the weights, which are already loaded.

    `tokens`, `logits`, `copies`, `recomputed`: arguments of `activation_bytes` for the largest forward pass. `bf16`:
    passes compute in bfloat16; `native`: because the weights become bfloat16, without autocast's copies. `longest`: the
    longest row of the pass, in words. `added`: bytes that training adds per trained weight. `reserved_share`: share of
    the device that vLLM takes. `spread`: the DeepSpeed configuration to suggest.
    """
    trained, zero = sum(p.numel() for p in model.parameters() if p.requires_grad), zero_stage(ctx.deepspeed)
    state = trained * added.each(zero, world_size())
    size = AUTOCAST_BYTES if bf16 else BYTES
    shape = DecoderShape.of(model.config)
    kept = activation_bytes(shape, tokens, logits=logits, copies=copies, recomputed=recomputed, size=size)
    if bf16 and not native and not (zero == 3 and recomputed):
        kept += cast_bytes(model)
    free = max(0.0, available_bytes() - reserved_share * device_bytes())
    less, lower = (
        (f" after the {reserved_share:.0%} that vLLM reserves", ", or lower `vllm.memory`")
        if reserved_share
        else ("", "")
    )
    _say(
        f"{trained:,} weights are trained; gradients and optimizer take {state / GIB:.2f} GiB and a pass of {tokens:,} "
        f"tokens keeps about {kept / GIB:.2f} GiB, of {free / GIB:.2f} GiB free{less}"
    )
    gate(
        state + kept <= free,
        f"memory: gradients and optimizer states of {trained:,} trained weights take {state / GIB:.1f} GiB and a pass "
        f"of {tokens:,} tokens keeps about {kept / GIB:.1f} GiB beside the weights; {free / GIB:.1f} GiB are free on "
        f"this device{less}. The longest row: {longest}. Lower `micro_tokens`, set `gradient_checkpointing: true`, "
        f"train adapters (`lora: {{}}`), or spread the optimizer with `resources: {{deepspeed: {spread}}}`{lower}.",
    )


def shown(trace: Trace, codec: StepCodec) -> str:
    """The trace's text, with special tokens by name, trained tokens in brackets, and a mark where a value is read."""
    pieces, inside, read = list[str](), False, set(trace.at)
    for i, token in enumerate(trace.ids):
        learnt = bool(trace.weights[i])
        if learnt != inside:
            pieces.append("⟦" if learnt else "⟧")
            inside = learnt
        text = codec.decode([token])
        pieces.append((text or codec.tokenizer.convert_ids_to_tokens(token)) + ("‹›" if i in read else ""))
    return ("".join(pieces) + ("⟧" if inside else ""))[-SHOWN:]


def named(row: Row, codec: StepCodec) -> str:
    """The row's problem and its first trace, as text."""
    return f"problem {row.group!r}, {shown(row.traces[0], codec)!r}"


def _describe_labels(rows: Sequence[Row], scale: Scale, ctx: Context) -> None:
    labels = Histogram("targets", scale)
    labels.add(target for row in rows for trace in row.traces for target in trace.targets)
    ctx.metric("labels", labels.metric())
    _say("targets: " + ", ".join(f"{bar} {count}" for bar, count in labels.metric()["bars"] if count))


def _check_labels(name: str, rows: Sequence[Row], scale: Scale, codec: StepCodec) -> None:
    """GateError if all targets are on one side of the middle of the scale."""
    middle, counts = 0.5 if scale in (Scale.P, Scale.PROGRESS) else 0.0, Counter[bool]()
    first: dict[bool, Row] = {}
    for row in rows:
        for label in (value > middle for trace in row.traces for value in trace.targets):
            counts[label] += 1
            first.setdefault(label, row)
    if len(first) < 2:
        gate_classes(name, counts, 0.0, "targets", {label: named(row, codec) for label, row in first.items()})


def _check_targets(name: str, encoded: Encoded, limit: int) -> None:
    """GateError if no row has a target."""
    gate(
        any(trace.targets for row in encoded.rows for trace in row.traces),
        f"{name}: no row has a target where the head is read (dropped: {encoded.why(limit)}). Label what the head "
        f"reads (`read_at`).{encoded.offending(limit)}",
    )


def _say(text: str) -> None:
    if rank() == 0:
        print(text, flush=True)
