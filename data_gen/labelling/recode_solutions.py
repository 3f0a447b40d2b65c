"""Solutions of another tokenizer, template or prompt as rows of this student: what it is trained on is what it will be
asked, in the tokens that it reads and writes."""

from __future__ import annotations

from dataclasses import replace

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution


def recode_solution(solution: Solution, own: StepCodec) -> Solution | str:
    """The same texts in the student's tokens, behind the student's own prompt; or why the row does not survive.

    Verdict, answer and weights stay, log-probs go: they were another model's. A whole solution ends with the student's
    stop token, unless a text of `task.format.ends` ended it; a cut one gets no end.

    Returns:
        The row, or `unreadable` where the tokenizer does not give the text back, or `kinds_differ` where its tokens
        run across segments, so that the student's Format reads other ones.

    Raises:
        UserError: If the row does not say its question.
    """
    if not solution.question:
        raise UserError(
            f"Problem {solution.problem_id!r}: its solution does not say its `question`, so no prompt can be made for "
            "another model. Expected rows of `sample`, `sft_paths` or `gold`."
        )
    prompt = tuple(own.prompt_ids(solution.question))
    given = [segment for segment in solution.segments if segment.text or segment.kind is not Kind.END]
    by_text = any(segment.kind is Kind.END for segment in given)
    encoded = own.encode(given, end=solution.finish != "length" and not by_text)
    ids = [token for segment in encoded for token in segment.token_ids]
    if own.decode(ids) != solution.text:
        return "unreadable"
    found = own.split(ids)
    if [segment.kind for segment in found] != [segment.kind for segment in encoded]:
        return "kinds_differ"
    return replace(
        solution,
        prompt=own.prompt_text(solution.question),
        prompt_ids=prompt,
        segments=tuple(map(_weighted, found, encoded)),
        logprobs=(),
    )


def _weighted(found: Segment, given: Segment) -> Segment:
    """The student's reading of a segment with the weight that the row gave it."""
    return replace(found, weight=given.weight)
