"""The self-check before any work: what computes with a model must agree with the model's own plain forward pass.

It runs on a small twin (twin.py), over rows that pass every limit of it. This module has what the checks of the engine
and of packed training share: rows, the plain forward, and verdicts, which are kept: a process checks a model once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from data_gen.checkpoints import quiet
from data_gen.errors import UserError, first_line
from data_gen.models.context import context_length
from data_gen.models.settle import settle
from data_gen.models.twin import twin

LENGTHS = (30, 35, 18)
"""Tokens of the rows. Two pass every limit of a twin and are no multiple of its window; they begin alike."""
SHARED = 11
"""Tokens that the last two rows share."""
SLACK = 2e-3
"""Largest difference of a log-probability, in nats, that counts as rounding. A wrong mask costs 0.1 or more."""

_verdicts: dict[tuple[Any, ...], str | None] = {}
_untried: dict[tuple[Any, ...], str] = {}
"""Families of which no twin can be made, and why: no check asks again."""


def kept_verdict(name: str, kind: Any, config: Any, compare: Callable[[Any], float]) -> str | None:
    """What is wrong with `kind(config)` by this check, in words; None if `compare`, which gets its twin and returns the
    largest difference of a log-probability, finds nothing."""
    family = (kind, config._attn_implementation, config.to_json_string(use_diff=False))
    if (name, family) not in _verdicts:
        with quiet(), torch.random.fork_rng(devices=[]), torch.autocast("cpu", enabled=False):
            _verdicts[name, family] = _verdict(family, config, compare)
    return _verdicts[name, family]


def _verdict(family: tuple[Any, ...], config: Any, compare: Callable[[Any], float]) -> str | None:
    if family in _untried:
        return _untried[family]
    try:
        model = twin(family[0], config)
    except Exception as error:
        _untried[family] = f"no small model of its kind can be made to try it on ({first_line(error)})"
        return _untried[family]
    try:
        stock = [plain_logprobs(model, ids) for ids in probes(model)[:2]]
        settle(model)
        settled = [plain_logprobs(model, ids) for ids in probes(model)[:2]]
        difference = max(
            largest([a - b for a, b in zip(stock, settled, strict=True)]),  # rows past every limit
            compare(model),
        )
    except UserError as error:
        return f"it cannot be run so ({error})"
    except Exception as error:  # each family fails in its own way
        return f"it cannot be run so ({first_line(error)})"
    return None if difference <= SLACK else f"log-probabilities differ by up to {difference:.2g} nats"


def probes(model: Any) -> list[tuple[int, ...]]:
    """Rows of token ids for a twin."""
    vocabulary, context = model.config.get_text_config(decoder=True).vocab_size, context_length(model.config)
    lowest = min(3, vocabulary - 1)  # special ids come first
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(lowest, vocabulary, (n,), generator=generator).tolist() for n in LENGTHS]
    rows[2][:SHARED] = rows[1][:SHARED]
    return [tuple(row[: context - 1]) for row in rows]


@torch.inference_mode()
def plain_logprobs(model: Any, ids: Sequence[int]) -> Tensor:
    """[tokens - 1] log-probability of every token but the first, from one forward pass of this row alone."""
    logits = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0, :-1]
    return logits.float().log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]


def largest(differences: Sequence[Tensor]) -> float:
    """The largest absolute entry; infinite if one is NaN."""
    worst = functools.reduce(torch.maximum, [d.abs().max() for d in differences if d.numel()])
    return float(worst) if worst.isfinite() else float("inf")


def causal_class(config: Any) -> tuple[Any, Any]:
    """The class that `AutoModelForCausalLM` takes for a config, and the config that it gets (the text model's for some
    families). UserError if there is none."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    kind: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if kind is None:
        raise UserError(
            f"A {config.model_type!r} model is no causal language model that the installed transformers knows; "
            "expected one that AutoModelForCausalLM loads. Choose another model."
        )
    kind = kind[0] if isinstance(kind, tuple) else kind
    inner = config.sub_configs.get("text_config") if getattr(config, "sub_configs", None) else None
    return kind, config.get_text_config(decoder=True) if kind.config_class is inner else config
