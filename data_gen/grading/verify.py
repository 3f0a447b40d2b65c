"""`verify(gold, answer)`: the three-way verdict on a final answer in text.

Fast exact paths come first (choice letter, yes/no, number), then symbolic comparison by math-verify in a process of its
own.
"""

from __future__ import annotations

from data_gen.grading.checker import compare
from data_gen.grading.choices import picked_letter, picked_word
from data_gen.grading.clean import is_free_text, plain, words
from data_gen.grading.numbers import Reading, last_side, only_number, read_number, same_number
from data_gen.records.verdict import Answer, Gold, Grade, Verdict


def verify(gold: Gold, answer: Answer) -> Grade:
    """Whether an extracted answer equals the reference.

    Args:
        gold: The reference. One that nothing can read gives UNVERIFIABLE `bad_gold`, unless the answer is the same
            text.
        answer: What `Format.extract_answer` found; `Answer(None)` is WRONG `no_answer`.

    Returns:
        The verdict with the path that reached it: `choice`, `yes_no`, `text`, `integer`, `decimal`, `fraction`,
        `percent`, `scaled`, `ambiguous` (several numbers or a hedge), `math_verify`, or UNVERIFIABLE with `timeout`,
        `checker_died`, `free_text` (gold is words, the answer others) or `bad_gold`.

    Raises:
        TypeError: If an argument is not of its type, so that the two cannot be swapped.
    """
    if not isinstance(gold, Gold) or not isinstance(answer, Answer):
        raise TypeError(
            "verify(gold, answer): gold, the reference, comes first as Gold(...); answer, what the solution says, "
            "second as Answer(...). "
            f"Got gold={gold!r} and answer={answer!r}."
        )
    if not gold.text.strip():
        return Grade(Verdict.UNVERIFIABLE, "bad_gold")
    if answer.text is None or not answer.text.strip():
        return Grade(Verdict.WRONG, "no_answer")
    return _grade(plain(gold.text), plain(answer.text))


def _grade(gold: str, answer: str) -> Grade:
    for reason, pick in (("choice", picked_letter), ("yes_no", picked_word)):
        if wanted := pick(gold, is_gold=True):
            return _decided(pick(answer, is_gold=False) == wanted, reason)
    number = read_number(gold)
    if number is not None:
        return _grade_number(number, gold, answer)
    if gold.casefold() == answer.casefold():
        return Grade(Verdict.CORRECT, "text")
    if is_free_text(gold):
        # Read as a formula, "red" would be r * e * d and equal to "der".
        return Grade(Verdict.UNVERIFIABLE, "free_text")
    return compare(gold, answer)


def _grade_number(gold: Reading, gold_text: str, answer: str) -> Grade:
    said = read_number(answer) or read_number(last_side(answer))
    if said is None and words(answer):
        said = only_number(answer)
        if said is None:
            return Grade(Verdict.WRONG, "ambiguous")
    if said is None:
        return compare(gold_text, answer)
    return _decided(same_number(gold, said), gold.kind)


def _decided(right: bool, reason: str) -> Grade:
    return Grade(Verdict.CORRECT if right else Verdict.WRONG, reason)
