"""How a person words a pick: what may stand before it, what may follow it, and what takes it back.

A pick is read only if every word in front of it belongs to a closed vocabulary (`answer`, `is`, `I choose`). Behind it
there may be an explanation, unless that denies the pick, hedges, corrects it or asks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from data_gen.grading.clean import plain

LONGEST = 2000
"""Most characters of an answer that is read as a pick."""
_TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"})
_BOXES = re.compile(r"\\(?:boxed|fbox|mbox|text\w*|math(?:rm|bf|it|sf))\s*\{([^{}]*)\}")
_MARKUP = re.compile(r"\*\*+|(?<!\S)\*(?=\w)|(?<=\w)\*(?=\W|$)(?!\s*\w)|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)|[`\"$]|^#+\s")
_SINGLE_QUOTES = re.compile(r"(?<![\w'])'(\w[^'\n]*)'(?![\w'])")
_SPACE = re.compile(r"\s+")
_AROUND = re.compile(r"^[\s,;:]+|(?:[\s.,;:]|(?<=[^\W\d])!)+$")
"""What surrounds an option's text without belonging to it. Brackets, signs, points in front and `5!` do belong."""
_VOCABULARY = (
    "a i we it this that these here its my our the final correct right best proper single only answer answers ans "
    "option options choice choices letter letters alternative item selection pick solution response result conclusion "
    "question problem is are be was will would should must am to of for as with in so thus hence therefore then and "
    "finally both all choose chose chosen choosing pick picked picking select selected selecting go going say believe "
    "think conclude answering marked given one ones which following above correctly clearly obviously definitely "
    "certainly indeed ok okay sure well i'd i'll i'm it's that's we'll we'd answer's"
)
_HEAD = frozenset(_VOCABULARY.split())
"""Words that may stand in front of a pick."""
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_CHINESE = re.compile(
    r"(?:因此|所以|故|综上所述|综上|那么|则|即|本题|这题|此题|我们|我|最终|正确|的|答案|选项|选择|应该|应当|应|选|是|为)+"
)
"""Chinese words that may stand in front of a pick. Words are not divided by spaces."""
WORD = r"[^\W\u3040-\u30ff\u4e00-\u9fff]"
"""A letter or digit of a script that divides words by spaces."""
_ASKS = re.compile(
    r"(?:is|are|was|would|should|must|will)\s+(?:it|this|that|these|the\s+(?:\w+\s+)?answer)\b(?!\s*[:=])", re.I
)
"""A question, with or without its mark: `Is it B`, `is the right answer B`."""
_BETWEEN = re.compile(r"(?:[\s:;,!]|\.(?!\d)|[-=](?=\s))*")
_GOOD = (
    r"(?:correct|right|best|true|answers?|ones?|options?|choices?|solutions?|response|selection|pick|letter|conclusion)"
)
_AFFIRMED = re.compile(
    rf"\s*(?:,?\s*it\s+is(?=\s*(?:[.,!]|$))|(?:is|are|was|would\s+be|must\s+be|has\s+to\s+be|should\s+be)\s+"
    rf"(?:(?:the|my|our|a|clearly|definitely|certainly|obviously|only|both|all|most|final)\s+)*{_GOOD}\b(?:\s+(?:{_GOOD}|here|left)\b)*"
    r"|(?:选项|项)?\s*(?:是|为)?\s*(?:最|唯一)?(?:正确|对)的?(?:答案|选项)?|选项|项)",
    re.I,
)
_AFFIRMED_AT_END = re.compile(rf"(?<=\S){_AFFIRMED.pattern}[\s.!]*$", re.I)
_EXPLAINS = re.compile(r"\s*(?:because|since|as|for|due\s+to|given)\b", re.I)
_SEPARATED = re.compile(r"\s*(?:[,;:!?(\[\n]|\.(?=\s|$)|-(?=\s|$))|\s*\n")
_EXPLANATION = re.compile(r"(?:\b(?:because|since|as|due to|given)\b|因为|由于)[^.;!?\n]*", re.I)
_CLAUSE = r"(?:[.,;:!?\n(-])\s*(?:(?:and|so|oh|um+)\b,?\s*)*"
_TAKEN_BACK = re.compile(
    rf"(?:^|{_CLAUSE})\s*(?:no\b,?\s*)?(?:but|however|although|though|yet|or|alternatively|otherwise|maybe|perhaps|"
    r"possibly|probably|presumably|wait|actually|rather|correction|scratch|sorry|oops|hmm+|never\s?mind)\b"
    rf"|{_CLAUSE}(?:not|unless|except|if|assuming|depending|either|both|neither|instead)\b"
    r"|\bon second thought|\bchange my mind|\bi mean\b|\b(?:un|not )(?:sure|certain|clear|decided)\b|\bdo(?:n't| not) "
    r"know\b|\bno idea\b|\b(?:i|just|a|my|wild|best) guess|\bguessing\b|\bcan(?:'t|not| not) (?:say|tell|decide)\b|"
    r"\b(?:could|might|may) (?:also|as well)\b|\bor not\b|\bon the other hand\b"
    rf"|(?:^|{_CLAUSE})(?:但|或|可能|也许|大概|除非|如果|而|改)|{_CLAUSE}(?:不|非)|还是|吗|不确定|不知道|不对|错了|猜",
    re.I,
)
_DENIED = re.compile(
    r"\s*[,:-]?\s*(?:is|are|was|can|could|may|might|must|should|would|seems?|looks?|appears?|does|do)(?:\s+to)?"
    r"(?:\s+be)?(?:n't\b|\s+(?:(?:the|an?|\w+ly)\s+)*(?:not|never|no|wrong|incorrect|false|impossible|unlikely|"
    r"excluded|eliminated|rejected|ruled|out)\b)|\s*cannot\b|\s*can't\b|\s*(?:选项|项)?\s*(?:是|并|也)?(?:不(?:正确|对|是|能)|错)",
    re.I,
)
_CUE = re.compile(
    r"(?:^|[.,;:!\n]|\b(?:so|thus|hence|therefore)\b)\s*,?\s*(?=(?:the|my|our)?\s*(?:final|correct|right|best)?\s*"
    r"(?:answer|option|choice)\b)|\b(?:so|thus|hence|therefore)\b,?\s+(?=\S)",
    re.I,
)


def flat(text: str) -> str:
    """The text without mark-up, with plain quotes, dashes and letters. Empty if it is too long to be a pick.

    >>> flat("**Answer:** \\\\text{(B)}"), flat("Ⓑ, it’s so")
    ('Answer: (B)', "B, it's so")
    """
    if len(text) > LONGEST:
        return ""
    text = unicodedata.normalize("NFKC", _BOXES.sub(r"\1", plain(text))).translate(_TYPOGRAPHY)
    text = _SINGLE_QUOTES.sub(r"\1", _MARKUP.sub("", text))
    return _SPACE.sub(lambda run: "\n" if "\n" in run[0] else " ", text).strip()


def option_key(text: str) -> str:
    """What the texts of options are compared by: `flat`, then `bare`."""
    return bare(flat(text))


def bare(flat_text: str) -> str:
    """A flat text without case, line breaks and punctuation at both ends."""
    text = " ".join(flat_text.casefold().split())
    text = _AROUND.sub("", text) or text
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] == "'" else text


def openings(text: str, more: frozenset[str] = frozenset()) -> Iterator[int]:
    """Places where a pick may begin: after any number of words that may stand in front of it, unless they ask. `more`:
    further such words."""
    at = 0
    while True:
        at = _end(_BETWEEN, text, at)
        yield at
        if _ASKS.match(text, at):
            return
        if chinese := _CHINESE.match(text, at):
            at = chinese.end()
            continue
        word = _WORD.match(text, at)
        if word is None or (word[0].lower() not in _HEAD and word[0].lower() not in more):
            return
        at = word.end()


def conclusions(text: str) -> Iterator[tuple[str, str]]:
    """(what comes before, conclusion) for the last clauses that conclude: `so B`, `the answer is B`."""
    for cue in reversed(list(_CUE.finditer(text))[-2:]):
        if cue.start():
            yield text[: cue.start()], text[cue.end() :]


def goes_on(rest: str, *, marked: bool) -> str | None:
    """The explanation behind a pick, `""` without one. None if the words show that it is no pick, as in `A bird`.

    `marked`: the pick stands in brackets or has a mark of its own, so that any text may follow.
    """
    affirmed = _AFFIRMED.match(rest)
    tail = rest[affirmed.end() :] if affirmed else rest
    if not tail.strip(" .!,;:)]\n"):
        return ""
    return tail if marked or _SEPARATED.match(tail) or _EXPLAINS.match(tail) else None


def affirmation_removed(text: str) -> str:
    """The text without an end such as `is the right answer`."""
    return _AFFIRMED_AT_END.sub("", text)


def takes_back(tail: str) -> bool:
    """Whether the text behind a pick denies it, hedges, corrects it or asks."""
    return bool("?" in tail or _DENIED.match(tail) or _TAKEN_BACK.search(explanations_removed(tail)))


def explanations_removed(tail: str) -> str:
    """The text without its clauses that begin with `because` and the like."""
    return _EXPLANATION.sub(" ", tail)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
