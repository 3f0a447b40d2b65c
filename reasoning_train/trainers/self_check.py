"""Compares packed training with plain forward passes, on a small twin of the model, before any training or reading.

`none` pads rows, `sequence` packs them under a mask, `tree` shares their beginnings under a mask, `forest` shares them
through the attention function of packing/tree_attention.py, `left` pads on the left as TRL does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from data_gen.checkpoints import unwrapped
from data_gen.errors import UserError
from data_gen.models.agreement import kept_verdict
from data_gen.models.windows import odd_layers

if TYPE_CHECKING:
    from reasoning_train.packing.plan import Packing

Way = Literal["none", "sequence", "tree", "forest", "left"]
BEST: tuple[Packing, ...] = ("tree", "sequence", "none")
"""Packings, the one that computes least first."""


def problem_of(kind: Any, config: Any, way: Way) -> str | None:
    """Why rows of `kind(config)` cannot be computed this way; None if they agree with plain forward passes."""
    return odd_layers(config) or kept_verdict(way, kind, config, _left if way == "left" else partial(_packed, way=way))


def forest_arrives(model: Any) -> bool:
    """Whether every attention layer gets the forest. Some families' layers drop the keyword arguments that they do not
    know (Nemotron), others attend by code of their own."""
    return problem_of(*_family(model), "forest") is None


def packing_problem(kind: Any, config: Any, packing: Packing) -> str | None:
    """Why a packing cannot be used. Trees need the forest or, slower, a mask."""
    if packing == "tree" and problem_of(kind, config, "forest") is None:
        return None
    return problem_of(kind, config, packing)


def agrees(model: Any, packing: Packing) -> bool:
    """Whether packed rows of this model are computed as plain ones."""
    return packing_problem(*_family(model), packing) is None


def check_packing(model: Any, packing: Packing) -> None:
    """UserError if packed rows of this model would not be computed as plain ones, with the packings that would."""
    kind, config = _family(model)
    problem = packing_problem(kind, config, packing)
    if problem is None:
        return
    fitting = [f"`packing: {other}`" for other in BEST if agrees(model, other)]
    instead = f"Use {' or '.join(fitting)}" if fitting else "No other packing does; train another model"
    raise UserError(
        f"packing: {packing!r} does not compute what transformers computes for {config.model_type!r} models: "
        f"{problem}. {instead}."
    )


def best_packing(model: Any) -> Packing:
    """The packing for reading rows that computes least. UserError if none agrees with plain forward passes."""
    packing: Packing = next((packing for packing in BEST if agrees(model, packing)), "none")
    check_packing(model, packing)
    return packing


def check_left_padding(model: Any) -> None:
    """UserError if rows that are padded on the left would not be computed as plain ones."""
    kind, config = _family(model)
    if problem := problem_of(kind, config, "left"):
        raise UserError(
            f"TRL pads prompts on the left, which does not compute what transformers computes for single rows of "
            f"{config.model_type!r} models: {problem}. Train another model, or use `sft` or `dpo` on sampled solutions."
        )


def _family(model: Any) -> tuple[Any, Any]:
    """Class and config of the transformers model."""
    inner = unwrapped(model)
    return type(inner), inner.config


def _packed(model: Any, *, way: Way) -> float:
    """The largest difference of a log-probability from the plain forward."""
    import torch

    from data_gen.models.agreement import largest, plain_logprobs, probes
    from reasoning_train.packing.batch import collate
    from reasoning_train.packing.rows import Row, Trace
    from reasoning_train.packing.tree_attention import forest_attention
    from reasoning_train.trainers.logprobs import read_logits
    from reasoning_train.trainers.packed_pass import packed_pass

    plain = [plain_logprobs(model, ids) for ids in probes(model)]
    rows = [Row((Trace(ids, (0.0, *[1.0] * (len(ids) - 1))),)) for ids in probes(model)]
    forest = forest_attention(model, "gather") if way == "forest" else None
    packs = [[row] for row in rows] if way == "none" else [rows]
    batch = collate(packs, 0, share=way in ("tree", "forest"), attention=forest)
    with torch.inference_mode():
        states = packed_pass(model, batch, forest).last_hidden_state.flatten(0, 1)
        found = read_logits(model, states[batch["predict_at"]], batch["predict_label"])["chosen"]
        return largest([found[batch["token"]] - torch.cat(plain)])


def _left(model: Any) -> float:
    """The largest difference of a log-probability in left-padded rows from the plain forward."""
    import torch

    from data_gen.models.agreement import largest, plain_logprobs, probes

    rows = probes(model)
    width = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    for row, tokens in enumerate(rows):
        ids[row, width - len(tokens) :], mask[row, width - len(tokens) :] = torch.tensor(tokens), 1
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).logits
    found = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    return largest(
        [row[width - len(tokens) :] - plain_logprobs(model, tokens) for row, tokens in zip(found, rows, strict=True)]
    )
