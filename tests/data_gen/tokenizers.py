"""Small tokenizers of the kinds that public checkpoints have, trained here on a few lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

LINES = [
    "Ana has 12. Ben has 5 more than Ana. How many has Ben?\n",
    "12 + 5 = 17. 17 - 3 = 14. The answer is 14.\n",
    "First:\n  - 12 + 5 = 17\n  - 17 - 3 = 14\nAnswer: 14",
    "3 + 4 = 7\n\nBen has 7.\n\n\nAnswer: 7",
    "user assistant system",
] * 40 + ["".join(map(chr, range(32, 127)))]
ONE_LINE = [line for text in LINES for line in text.split("\n")]
"""For SentencePiece, whose pieces hold no line end: it is a byte."""
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CONTROL = ("<unk>", "<s>", "</s>")
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def byte_level(
    *,
    template: str | None = CHATML,
    special: Sequence[str] = ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    prefix_space: bool = False,
    frame: str = "$A",
    **named: str,
) -> Any:
    """As GPT-2, Qwen and Llama 3. `frame`: what the tokenizer puts around a text, such as `<s> $A </s>`."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _train(core, trainers.BpeTrainer, vocab_size=420, special_tokens=list(special), initial_alphabet=alphabet)
    return _fast(core, frame, template, **({"eos_token": special[0]} | named))


def llama2(*, template: str | None = None, frame: str = "<s> $A", **named: str) -> Any:
    """As Llama 2 and Mistral: SentencePiece's space in front of every text, bytes for unknown characters."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    _train(core, trainers.BpeTrainer, ONE_LINE, vocab_size=420, special_tokens=[*CONTROL, *BYTES])
    core = _control_only(core)
    core.pre_tokenizer = None
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    strip = decoders.Strip(" ", 1, 0)
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), strip])
    return _fast(core, frame, template, **_named(named))


def metaspace(scheme: str, *, template: str | None = None, frame: str = "$A", **named: str) -> Any:
    """A space mark `always`, `first` or `never` in front, as newer Llama and T5 tokenizers."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    _train(core, trainers.BpeTrainer, ONE_LINE, vocab_size=420, special_tokens=[*CONTROL, *BYTES])
    core = _control_only(core)
    fallback = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme)])
    core.decoder = fallback
    return _fast(core, frame, template, **_named(named))


def unigram(*, template: str | None = None, frame: str = "$A </s>", **named: str) -> Any:
    """As T5 and Gemma's older kin: SentencePiece's unigram model, eos behind every text."""
    core = Tokenizer(models.Unigram())
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    _train(core, trainers.UnigramTrainer, vocab_size=180, special_tokens=list(CONTROL), unk_token="<unk>")
    return _fast(core, frame, template, **_named(named))


def word_piece(*, template: str | None = None, frame: str = "[CLS] $A [SEP]", **named: str) -> Any:
    """As BERT, which writes no space of its own: decoding joins words with spaces."""
    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=False)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    special = ["[UNK]", "[CLS]", "[SEP]"]
    _train(core, trainers.WordPieceTrainer, vocab_size=300, special_tokens=special)
    named = {"eos_token": "[SEP]", "bos_token": "[CLS]", "unk_token": "[UNK]"} | named
    return _fast(core, frame, template, **named)


KINDS: dict[str, Callable[[], Any]] = {
    "byte_level": cache(byte_level),
    "byte_level_prefix": cache(lambda: byte_level(prefix_space=True)),
    "byte_level_eos": cache(lambda: byte_level(frame="<|im_start|> $A <|endoftext|>")),
    "llama2": cache(llama2),
    "llama2_eos": cache(lambda: llama2(frame="<s> $A </s>")),
    "metaspace_always": cache(lambda: metaspace("always")),
    "metaspace_first": cache(lambda: metaspace("first")),
    "metaspace_never": cache(lambda: metaspace("never")),
    "unigram": cache(unigram),
    "word_piece": cache(word_piece),
}
"""Name -> the tokenizer, made once."""


def _named(named: dict[str, str]) -> dict[str, str]:
    return {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | named


def _train(core: Any, trainer: Any, lines: Sequence[str] = LINES, **settings: Any) -> None:
    core.train_from_iterator(lines, trainer(show_progress=False, **settings))


def _control_only(core: Any) -> Any:
    """Training takes the byte tokens for control tokens, which decoding would skip; they are text."""
    made = json.loads(core.to_str())
    made["added_tokens"] = [token for token in made["added_tokens"] if token["content"] in CONTROL]
    return Tokenizer.from_str(json.dumps(made))


def _fast(core: Any, frame: str, template: str | None, **named: str) -> Any:
    around = [(token, core.token_to_id(token)) for token in frame.split() if token != "$A"]
    if around:
        core.post_processor = processors.TemplateProcessing(single=frame, special_tokens=around)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=template,
        clean_up_tokenization_spaces=False,
        **{name: token for name, token in named.items() if token},
    )
