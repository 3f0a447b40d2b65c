"""The forward pass over a packed batch, which training, reading and the self-check share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reasoning_train.packing.attention import masks
from reasoning_train.trainers.logprobs import backbone

if TYPE_CHECKING:
    from reasoning_train.packing.batch import Batch
    from reasoning_train.packing.tree_attention import ForestAttention


def packed_pass(model: Any, batch: Batch, forest: ForestAttention | None, *, layers: bool = False) -> Any:
    """What the decoder below the head returns. `forest`: the attention that the batch was collated with; batches
    without one bring a mask. `layers`: with the hidden states of every layer."""
    body = backbone(model)
    if "visible" in batch:
        attention = {"attention_mask": masks(body, batch["visible"], batch["position_ids"])}
    else:
        assert forest is not None
        attention = forest.arguments(batch)
    return body(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        use_cache=False,
        output_hidden_states=layers,
        **attention,
    )
