"""Converts solutions of another tokenizer, template or prompt to rows of this student. The student is then trained on
the prompt that it will be asked, in its own tokens."""

from __future__ import annotations

from dataclasses import replace

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution


def recode_solution(solution: Solution, own: StepCodec) -> Solution | str:
    """The same texts in the student's tokens after the student's own prompt, or the reason why the row is dropped.

    Verdict, answer and weights stay. Log-probabilities and a teacher's tokens are dropped, since they belong to other
    tokens. A whole solution ends with the student's stop token, unless a text of `task.format.ends` ended it. A cut
    one gets no end.

    Returns:
        The row; `unreadable` if the tokenizer does not return the same text; or `kinds_differ` if its tokens straddle
        segments, so that the student's Format reads other ones.

    Raises:
        UserError: If the row does not say its question.
    """
    if not solution.question:
        raise UserError(
            f"Problem {solution.problem_id!r}: its solution has no `question`, so no prompt can be made for "
            "another model. Expected rows of `sample`, `sft_paths` or `gold`."
        )
    asked, question = solution.asked, solution.question
    prompt = tuple(own.turns_ids(asked) if asked else own.prompt_ids(question))
    given = [segment for segment in solution.segments if segment.text or segment.kind is not Kind.END]
    by_text = any(segment.kind is Kind.END for segment in given)
    encoded = own.encode(given, end=solution.finish != "length" and not by_text)
    ids = [token for segment in encoded for token in segment.token_ids]
    if not own.reads(ids, solution.text) and own.decode(ids).lstrip() != solution.text.lstrip():
        return "unreadable"  # white space in front is the tokenizer's own
    found = own.split(ids)
    if [segment.kind for segment in found] != [segment.kind for segment in encoded]:
        return "kinds_differ"
    return replace(
        solution,
        prompt=own.turns_text(asked) if asked else own.prompt_text(question),
        prompt_ids=prompt,
        segments=tuple(map(_weighted, found, encoded)),
        logprobs=(),
        teacher_ids=(),
        teacher_logprobs=(),
    )


def _weighted(found: Segment, given: Segment) -> Segment:
    """The student's reading of a segment, with the weight that the row gave it."""
    return replace(found, weight=given.weight)
