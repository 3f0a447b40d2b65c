"""A word-level tokenizer over a task's closed vocabulary, for models trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"
PIECES = r" ?\p{L}+| ?\d| ?[^\s\p{L}\d]|\n| "
"""Words, single digits and single marks, each with the space before it, so that decoding restores the exact text."""


def word_tokenizer(vocabulary: Sequence[str]) -> PreTrainedTokenizerFast:
    """A fast tokenizer whose tokens are the words, digits and marks of `vocabulary`, with and without a leading
    space."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    surface = sorted({piece for word in vocabulary for piece in (word, f" {word}") if word.strip()} | {"\n", " "})
    ids = {token: i for i, token in enumerate([PAD, EOS, UNK, *surface])}
    core = Tokenizer(models.WordLevel(ids, unk_token=UNK))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=PAD, eos_token=EOS, unk_token=UNK, clean_up_tokenization_spaces=False
    )
