"""Removes the formatting of final answers, and decides when two texts are equal."""

from __future__ import annotations

import re

from data_gen.grading.characters import ascii_form, with_commands

THOUSANDS = re.compile(r"(?<=\d)(?:\\[,!]|\{,\})(?=\d{3}(?!\d))")
"""LaTeX between thousands, where plain text has a comma."""
_REPLACED = (
    (
        re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|mathit|mbox|operatorname|rm|bf)\s*\{([^{}]*)\}"),
        r" \1 ",
    ),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    (re.compile(r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|limits|middle)(?![A-Za-z])\.?"), ""),
    (re.compile(r"\\q?quad(?![A-Za-z])"), " "),
    (THOUSANDS, ","),
    (re.compile(r"(?<!\\)\\[,!;: ]|~"), " "),
    (re.compile(r"(?<=\d) +(?=,\d{3})"), ""),
    (re.compile(r"(?:\^\{?\s*\\circ\s*\}?|\u00b0|\\degree(?![A-Za-z]))"), " degrees "),
    (re.compile(r"\\([$%])"), r"\1"),
)
_MONEY = re.compile(r"\s*\$([^$\\]*\\\$[^$]*)\$\s*\.?\s*")
"""Mathematics around an amount of money: `$\\$5$`."""
_IN_TEXT = re.compile(r"\\(?:text|textbf|textrm|mathrm|mbox)\s*\{")
_BRACKETS = {"$": "$", "\\(": "\\)", "\\[": "\\]"}
"""What opens and closes mathematics in a text."""
_WRAPPER = re.compile(r"\$\$|\$|\\\(|\\\[|\*{1,3}|_{1,2}|`|\\(?:boxed|fbox)\s*\{")
_BOLD = re.compile(r"(?<![^\s(])\*\*(?=\S)((?:[^*]|\*(?!\*))+)(?<=\S)\*\*(?!\w)")
_BEFORE = re.compile(r"(?:\*\*+|#{1,6}(?=\s)|[*\u2022](?=\s))\s*")
"""Markdown in front of a text: the second half of what marks a lead-in, a heading, an item of a list."""
_BEHIND = re.compile(r"(?:(?<!\*)\*\*+|(?<=[\d.%])\*|(?<=\d)_{1,2}|`)(?=\.?$)")
"""The second half of a mark whose first half stood in front of a lead-in: `5**` of `**Answer: 5**`."""
_LEAD_IN = re.compile(
    r"(?:(?:so|thus|hence|therefore)\b,?\s*)?(?:the|my|our)?\s*(?:(?:final|correct|right|best)\s+)?"
    r"(?:answer|result)\s*(?:is\b|:|=)\s*:?\s*(\S.*)"
    r"|(?:(?:所以|因此|综上|故)[,:]?\s*)?(?:最终|正确)?答案\s*(?:是|为|:|=)\s*:?\s*(\S.*)",
    re.S | re.I,
)
_QUOTED = re.compile(r"([\"'`*])(.+)\1", re.S)
_MOST_QUOTES = 4
"""Most pairs of quotation marks around each other that are taken off."""
_AROUND_DIGITS = re.compile(r"(?<=\d) (?=[a-z%])")
_BRACED_LETTER = re.compile(r"\{(\w)\}")


def plain(text: str) -> str:
    r"""The text without wrappers (`$..$`, `\(..\)`, `\boxed{..}`, bold), text commands, spacing commands and final full
    stop. Characters that look alike become one (`characters.ascii_form`).

    >>> plain(r"$\boxed{\text{(B)}}$"), plain(r"\$1{,}234."), plain(r"\dfrac{1}{2}")
    ('(B)', '$1,234', '\\frac{1}{2}')
    """
    return opened(text)[0]


def opened(text: str) -> tuple[str, bool]:
    """What `plain` gives, and whether all of it stood in mathematics, where single letters are variables."""
    text = _without_markdown(ascii_form(text))
    if money := _MONEY.fullmatch(text):
        text = money[1]
    words = _IN_TEXT.search(text) is not None
    if "\\" in text or "~" in text or "\u00b0" in text or " ," in text or "{" in text:
        for pattern, by in _REPLACED:
            text = pattern.sub(by, text)
    text, math = _unwrapped(text)
    return text, math and not words


def after_lead_in(text: str) -> str:
    """The text after a beginning such as `The answer is`. Without one, the text itself.

    >>> after_lead_in("So the final answer is: 5 apples"), after_lead_in("5 apples")
    ('5 apples', '5 apples')
    """
    match = _LEAD_IN.fullmatch(text.strip())
    return match[1] or match[2] if match else text


def same_text(gold: str, answer: str) -> bool:
    """Whether two texts have the same words. Case, mark-up, white space, punctuation at both ends and a lead-in do not
    count. Articles, accents and inner punctuation do.

    >>> same_text("New York", r"\\text{new  York}."), same_text("New York", "York New")
    (True, False)
    """
    return folded(gold) == folded(answer)


def folded(text: str) -> str:
    """What `same_text` compares."""
    inside = " ".join(after_lead_in(plain(with_commands(text))).casefold().split())
    if "\\" in inside:
        inside = _BRACED_LETTER.sub(r"\1", inside.replace(" ", ""))
    inside = _AROUND_DIGITS.sub("", inside)
    for _ in range(_MOST_QUOTES):
        inside = _without_ends(inside)
        quoted = _QUOTED.fullmatch(inside)
        if quoted is None:
            break
        inside = quoted[2]
    return inside


def _without_ends(text: str) -> str:
    """Without punctuation at both ends, if anything is left. Three dots and a decimal point are no punctuation."""
    bare = text.lstrip(" ,;:?")
    end = bare.rstrip(" ,;:?")
    end = end if end.endswith("..") else end.removesuffix(".").rstrip(" ,;:?")
    return end or text


def _without_markdown(text: str) -> str:
    """Without the marks of bold parts, and without a mark at an end whose other half is missing. `2**3` stays."""
    if not any(mark in text for mark in "*_#`\u2022"):
        return text
    bare = _BOLD.sub(r"\1", text).strip()
    before, behind = _BEFORE.match(bare), _BEHIND.search(bare)
    if behind and bare.startswith(behind[0]):
        return bare
    if behind and bare.count(behind[0]) == 1:
        bare = bare[: behind.start()] + bare[behind.end() :]
    return bare[before.end() if before else 0 :] or text


def _unwrapped(text: str) -> tuple[str, bool]:
    """The text inside its wrappers, in time linear in its length, and whether one of them was mathematics."""
    closing = _closing_braces(text) if "\\boxed" in text or "\\fbox" in text else {}
    start, end, math = 0, len(text), False
    while True:
        start, end = _stripped(text, start, end)
        opening = _WRAPPER.match(text, start, end)
        if opening is None:
            return text[start:end], math
        mark = opening[0]
        if "box" in mark:
            if closing.get(opening.end() - 1) != end - 1:
                return text[start:end], math
            start, end = opening.end(), end - 1
            continue
        close = _BRACKETS.get(mark, "$$" if mark == "$$" else mark)
        inside = start + len(mark), end - len(close)
        if inside[0] > inside[1] or text.find(close, inside[0], end) != inside[1] or inside[0] == inside[1]:
            return text[start:end], math
        (start, end), math = inside, math or mark in _BRACKETS or mark == "$$"


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Without white space at both ends and one final full stop. Three dots are no full stop."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start and text[end - 1] == "." and text[max(start, end - 2) : end - 1] != ".":
        end -= 1
        while end > start and text[end - 1].isspace():
            end -= 1
    return start, end


def _closing_braces(text: str) -> dict[int, int]:
    """The closing brace of every opening one."""
    found, openings = {}, []
    for i, char in enumerate(text):
        if char == "{":
            openings.append(i)
        elif char == "}" and openings:
            found[openings.pop()] = i
    return found
