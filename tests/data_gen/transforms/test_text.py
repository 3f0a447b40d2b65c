"""Transforms of wording and weights by hand: `reprompt`, `retext`, `mask`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from data_gen.errors import UserError
from tests.data_gen.transforms.test_forms import QUESTION, ROW, told
from tests.data_gen.transforms.test_transforms import ASKED, made, worked


def test_a_question_in_other_words_keeps_the_completion_and_its_ids() -> None:
    row = worked(2)
    [one] = made({"uses": "reprompt", "templates": ["Short: {question} {x}"]}, [row])
    assert one.question == one.prompt == f"Short: {ASKED.question} {{x}}"
    assert (one.prompt_ids, one.logprobs, one.teacher_ids) == ((), (), ())
    assert (one.segments, one.steps_ok, one.verdict, one.tags) == (row.segments, True, row.verdict, {})


def test_one_of_several_wordings_is_drawn_and_tagged() -> None:
    """3,000 draws among three: within 4.5 standard deviations."""
    rows = [replace(ROW, sample=i) for i in range(3000)]
    config = {"uses": "reprompt", "templates": ["{question}", "a {question}", "b {question}"]}
    found = made(config, rows)
    assert {(row.tags["reprompt"], row.question) for row in found} == {
        ("0", QUESTION),
        ("1", f"a {QUESTION}"),
        ("2", f"b {QUESTION}"),
    }
    counts = Counter(row.tags["reprompt"] for row in found)
    assert all(abs(count - 1000) < 4.5 * (3000 * 2 / 9) ** 0.5 for count in counts.values())


def test_a_control_word_stands_before_the_solution() -> None:
    [one] = made({"uses": "reprompt", "control": "fast "}, [worked(1)])
    assert [(s.kind, s.text) for s in one.segments][:2] == [("control", "fast "), ("step", "step 0\n")]
    assert (one.question, one.token_ids) == (ASKED.question, ())


def test_a_row_without_its_question_cannot_be_asked_otherwise() -> None:
    with pytest.raises(UserError, match="transform 'reprompt': the solution of problem 'p' has no `question`"):
        made({"uses": "reprompt", "control": "fast "}, [replace(ROW, question="")])


def test_rules_rewrite_in_turn_and_by_kind() -> None:
    rules = [{"pattern": r"(\d+) \+ (\d+)", "to": r"\2 + \1"}, {"pattern": "Ben: ", "kinds": ["step"]}]
    [one] = made({"uses": "retext", "rules": rules}, [ROW])
    assert one.text == "Hm.\nPlan: + -\n5 + 12 = 17\nCy: 17 - 3 = 14\nAnswer: 14"
    [other] = made({"uses": "retext", "rules": [{"pattern": "(?s).*", "kinds": ["think", "plan"]}]}, [ROW])
    assert [segment.kind for segment in other.segments] == ["step", "step", "answer"]
    assert made({"uses": "retext", "rules": [{"pattern": "(?s).*"}]}, [ROW]) == []


def test_rules_that_match_nothing_leave_the_ids() -> None:
    row = worked(2)
    assert made({"uses": "retext", "rules": [{"pattern": "nowhere"}]}, [row]) == [row]


def test_weights_by_kind() -> None:
    [one] = made({"uses": "mask", "weights": {"step": 0.25}}, [worked(2)])
    assert [segment.weight for segment in one.segments] == [0.25, 0.25, 1.0]
    assert one.trained_tokens == 2.0
    assert one.logprobs and one.steps_ok and one.step_labels  # what was said of texts and ids still holds


def test_spans_are_cut_out_with_weights_and_kinds_of_their_own() -> None:
    row = told(("step", "12 + 5 = <<17>>17, <<x>>\n"), ("answer", "17"), answer="17", steps_ok=True)
    spans = [{"pattern": "<<.*?>>", "kind": "observation"}, {"pattern": "^12", "weight": 0.5}]
    [one] = made({"uses": "mask", "weights": {"answer": 2}, "spans": spans}, [row])
    assert [(s.kind, s.text, s.weight) for s in one.segments] == [
        ("step", "12", 0.5),
        ("step", " + 5 = ", 1.0),
        ("observation", "<<17>>", 0.0),
        ("step", "17, ", 1.0),
        ("observation", "<<x>>", 0.0),
        ("step", "\n", 1.0),
        ("answer", "17", 2.0),
    ]
    assert (one.text, one.steps_ok, one.verdict) == (row.text, True, row.verdict)


def test_empty_matches_cut_nothing() -> None:
    row = worked(2)
    assert made({"uses": "mask", "spans": [{"pattern": "x*"}]}, [row]) == [row]
