"""Encodes text that may spell control tokens: one that a question spells is text, one that a template writes is the
token.

The whole text is tokenised at once, so that the other tokens are those that they always are. Only where a text spells a
control token, a twin of the tokenizer reads it: the twin knows control tokens by other names, which stand where the
template wrote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from data_gen.errors import UserError, excerpt
from data_gen.templates.masks import TextRun

ALIAS = "\ufdd0{}\ufdd1"
"""The twin's name of a control token, by its id. These are no characters, and no text in use holds them."""


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of the tokenizer's special tokens."""
    added = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def token_text(tokenizer: Any, token: int) -> str:
    """How a token is written in a text. The vocabulary may hold it in another form (SentencePiece's `▁<s>`)."""
    added = tokenizer.added_tokens_decoder.get(token)
    return str(added.content if added else tokenizer.convert_ids_to_tokens(token))


class ControlTokens:
    """`ControlTokens(tokenizer, ids)`: the tokens that only a template may write."""

    def __init__(self, tokenizer: Any, ids: Iterable[int]) -> None:
        self._tokenizer, self.ids = tokenizer, frozenset(ids)
        self._counted = self.ids - {tokenizer.unk_token_id}  # unknown text is read as that token, too
        self.texts = {token_text(tokenizer, i): i for i in sorted(self.ids) if i < len(tokenizer)}
        longest = sorted(self.texts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest)) or "(?!)")

    def encode(self, runs: Sequence[TextRun]) -> list[int]:
        """Token ids of a text. UserError if the tokenizer cannot read a control token as text."""
        whole = "".join(run.text for run in runs)
        ids: list[int] = self._tokenizer(whole, add_special_tokens=False)["input_ids"]
        spelled = any(self._pattern.search(run.text) for run in runs if not run.template)
        written = sum(self.texts[text] in self._counted for run in runs if run.template for text in self._spelled(run))
        if not spelled and self._control(ids) <= written:
            return ids
        aliased = "".join(self._pattern.sub(self._alias, run.text) if run.template else run.text for run in runs)
        twin = self._twin.encode(aliased, add_special_tokens=False)
        ids = self._own(twin.ids)
        if self._control(ids) > written:
            raise UserError(
                f"A control token of the tokenizer is spelled in {excerpt(whole)}, and the tokenizer can read it only "
                "as that token, not as text. Take the row out, or use another tokenizer."
            )
        return ids

    def encode_text(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids and offsets of a text without control tokens. One that it spells is text."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        if not self._pattern.search(text) and not self._control(encoded["input_ids"]):
            return encoded["input_ids"], encoded["offset_mapping"]
        twin = self._twin.encode(text, add_special_tokens=False)
        return self._own(twin.ids), twin.offsets

    def _spelled(self, run: TextRun) -> list[str]:
        return self._pattern.findall(run.text)

    def _control(self, ids: Iterable[int]) -> int:
        return sum(i in self._counted for i in ids)

    def _alias(self, found: re.Match[str]) -> str:
        return ALIAS.format(self.texts[found[0]])

    def _own(self, ids: Sequence[int]) -> list[int]:
        return [self._renumbered.get(i, i) for i in ids]

    @cached_property
    def _twin(self) -> Any:
        from tokenizers import Tokenizer

        made = json.loads(self._tokenizer.backend_tokenizer.to_str())
        for token in made["added_tokens"]:
            if token["content"] in self.texts:
                token.update(content=ALIAS.format(self.texts[token["content"]]), normalized=False)
        _rename(made["model"], {text: ALIAS.format(i) for text, i in self.texts.items()})
        twin = Tokenizer.from_str(json.dumps(made))
        twin.no_truncation()
        twin.no_padding()
        return twin

    @cached_property
    def _renumbered(self) -> dict[int, int]:
        """Ids of the twin that differ: a token that is in no vocabulary of the model gets the next free one."""
        names = {text: text for text in self._tokenizer.get_added_vocab()} | {
            text: ALIAS.format(i) for text, i in self.texts.items()
        }
        pairs = (
            (self._twin.token_to_id(alias), self._tokenizer.convert_tokens_to_ids(text))
            for text, alias in names.items()
        )
        return {twin: own for twin, own in pairs if twin is not None and twin != own}


def _rename(model: dict[str, Any], names: dict[str, str]) -> None:
    """Give control tokens in the model's own vocabulary their other names, or its pieces would spell them.

    BPE builds pieces from characters by its merges alone, unless it looks whole words up first.
    """
    vocabulary, unknown = model["vocab"], model.get("unk_token")
    if isinstance(vocabulary, list):
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in vocabulary]
    elif model["type"] != "BPE" or model.get("ignore_merges"):
        model["vocab"] = {piece if piece == unknown else names.get(piece, piece): i for piece, i in vocabulary.items()}
