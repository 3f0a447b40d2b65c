"""Whether two texts overlap: a shared run of n normalised words, or the same words as a whole (the decontamination of
GPT-3, arXiv 2005.14165, appendix C, for languages without spaces, too)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

N = 13
"""Words in a run."""
# Han, kana, Thai, Lao, Tibetan, Burmese, Khmer and other scripts that do not separate words: each character is a word.
_ALONE = "\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u1950-\u19df\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uaa60-\uaa7f\uf900-\ufaff\U00020000-\U0003ffff"  # fmt: skip  # noqa: E501
# Signs that Python's \w leaves out of words: accents, points, and the vowels of Indic scripts.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
_WORD = re.compile(rf"[{_ALONE}]|(?:(?![{_ALONE}])(?:[^\W_]|[{_MARKS}]))+")
_SIGN = re.compile(rf"{_WORD.pattern}|[^\w\s.,;:!?'\"()]")


def normalised(text: str) -> str:
    """Compatibility forms of Unicode (full-width digits, ligatures) and case folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> list[str]:
    """Lower-case words and numbers; everything else is dropped. In scripts without spaces each character is a word.

    >>> words("Ana has 12.")
    ['ana', 'has', '12']
    >>> words("小明有3个苹果")
    ['小', '明', '有', '3', '个', '苹', '果']
    """
    return _WORD.findall(normalised(text))


def whole(text: str) -> str:
    """A whole text in normal form: its words, and signs such as + and -, which tell short questions apart."""
    return " ".join(_SIGN.findall(normalised(text))) or text.strip()


def grams(text: str, n: int = N) -> set[str]:
    """Runs of n normalised words; the whole text if it is shorter."""
    tokens = words(text)
    if len(tokens) < n:
        return {whole(text)}
    return {" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}


def keys_of(text: str, n: int | None) -> set[str]:
    """What two overlapping texts share: runs of n words, or with None the whole text."""
    return {whole(text)} if n is None else grams(text, n)


def overlapping(held_out: Mapping[str, str], others: Iterable[str], n: int | None) -> set[str]:
    """Names of the held-out texts that overlap with any of the others.

    Args:
        held_out: Name -> text. Their keys are held in memory.
        others: Texts, read once.
        n: Words in a run; None: only the same whole text.
    """
    names: dict[str, list[str]] = {}
    for name, text in held_out.items():
        for key in keys_of(text, n):
            names.setdefault(key, []).append(name)
    return set(_hits(names, others, n))


def _hits(names: Mapping[str, list[str]], others: Iterable[str], n: int | None) -> Iterator[str]:
    for text in others:
        for key in keys_of(text, n):
            yield from names.get(key, ())
