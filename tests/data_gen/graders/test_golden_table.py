"""`auto` on the golden table: every pair, with each of the two forms as gold."""

from __future__ import annotations

from functools import cache

import pytest

from data_gen.graders.auto import Auto
from data_gen.grading.values import canonical
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from tests.data_gen.graders.golden_table import Section, sections

SECTIONS = sections()


@cache
def verdict(gold: str, answer: str) -> Verdict:
    problem = Problem(id="p", question="q", gold=gold, group="p", split="test")
    return Auto().grade(problem, Answer(answer)).verdict


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.kind)
def test_every_pair_has_its_verdict_both_ways_round(section: Section) -> None:
    wrong = [
        f"{gold!r} and {answer!r} are {'equal' if equal else 'different'}: {verdict(gold, answer)}"
        for _, one, other, equal in section.pairs()
        for gold, answer in ((one, other), (other, one))
        if verdict(gold, answer) is not (Verdict.CORRECT if equal else Verdict.WRONG)
    ]
    assert not wrong, "\n".join([section.reason, *wrong])


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.kind)
def test_equal_keys_are_equal_answers(section: Section) -> None:
    differing = [pair for pair in section.pairs() if not pair.equal and canonical(pair.one) == canonical(pair.other)]
    assert not differing


def test_every_form_is_itself() -> None:
    forms = {form for section in SECTIONS for row in section.rows for form in row}
    assert [form for form in sorted(forms) if verdict(form, form) is not Verdict.CORRECT] == []


def test_the_table_holds_a_thousand_pairs_of_either_kind() -> None:
    labels = [(one, other, equal) for section in SECTIONS for _, one, other, equal in section.pairs()]
    equal = {frozenset(pair[:2]) for pair in labels if pair[2]}
    different = {frozenset(pair[:2]) for pair in labels if not pair[2]}
    assert len(equal) >= 1000 and len(different) >= 1000 and not equal & different
    assert len({form for section in SECTIONS for row in section.rows for form in row}) >= 700
