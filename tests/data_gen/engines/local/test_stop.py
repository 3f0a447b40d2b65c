"""Stop strings on token ids: straddling tokens, tokens that hold more than the delimiter, byte pieces."""

from __future__ import annotations

import pytest

from data_gen.engines.local.stop import END, MAYBE, StopTable
from tests.data_gen.engines.tiny import TEXTS, VOCAB, ask, engine, request, tokenizer

ID = {text: i for i, text in enumerate(TEXTS)}


def _table() -> StopTable:
    return StopTable(tokenizer(), VOCAB, (1,))


@pytest.mark.parametrize(
    ("texts", "stop", "stops"),
    [
        (["a", "END"], "END", True),
        (["EN", "D"], "END", True),
        (["E", "N", "D!"], "END", True),
        (["EN", "a"], "END", False),
        (["x\n", "\n"], "\n\n", True),
        (["a", "\n\ny"], "\n\n", True),
        (["x\n", "a"], "\n\n", False),
        (["a", "\n"], "\n\n", False),
        ([" ", "a"], " a", True),
    ],
)
def test_the_first_token_whose_text_completes_the_string(texts: list[str], stop: str, stops: bool) -> None:
    table = _table()
    ids = [ID[text] for text in texts]
    row = table.index((stop,))
    assert (table.marks[row, ids[-1]] == MAYBE and table.completes(ids, (stop,))) == stops


def test_marks_agree_with_decoding_every_tail() -> None:
    stop = ("END", "\n\n", "a.")
    requests = [request((2, i % VOCAB), (i,), stop=stop, max_tokens=6) for i in range(60)]
    kinds = set()
    for [sample] in ask(engine(slots=16), *requests):
        texts = [TEXTS[i] for i in sample.token_ids]
        done = any(s in "".join(texts) for s in stop)
        assert not any(s in "".join(texts[:-1]) for s in stop)
        assert sample.finish == ("stop" if done else "length")
        kinds.add(sample.finish)
    assert kinds == {"stop", "length"}


def test_end_ids_stay_ends_under_stop_strings() -> None:
    table = _table()
    row = table.index(("<eos>",))
    assert table.marks[row, 1] == END


def test_ids_beyond_the_tokenizer_complete_nothing() -> None:
    table = StopTable(tokenizer(), VOCAB + 9, ())
    row = table.index(("a",))
    assert table.marks[row, ID["a"]] == MAYBE and not table.marks[row, VOCAB:].any()


def test_parts_of_characters_are_looked_at_in_context() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokens = PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False)
    table = StopTable(tokens, len(alphabet), ())
    ids = tokens.encode("x = 3 →", add_special_tokens=False)
    index = table.index(("→",))
    assert table.marks[index, ids[-1]] == MAYBE
    assert table.completes(ids, ("→",)) and not table.completes(ids[:-1], ("→",))
